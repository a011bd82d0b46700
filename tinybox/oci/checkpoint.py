"""The verbs checkpoint and restore: a container's processes become files, and a new container goes on with them.

Their options are those of runc; each of them has the name of an option of criu. The images are in --image-path, and
criu's log in --work-path. A container that ends with its checkpoint is deleted, as by runc.
"""

from __future__ import annotations

import os

from tinybox.container.checkpoints import criu, dump, files, outside, restoration
from tinybox.container.checkpoints import restore as restoring
from tinybox.errors import StateError, UsageError
from tinybox.oci import ending, groups, record, running

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinybox.oci.command_line import CommandLine
    from tinybox.oci.creation import Creation
    from tinybox.oci.record import Record

FOLDER = "checkpoint"  # in the working directory: the images, if --image-path is not given
MODES = ("soft", "full", "strict", "ignore")
_FLAGS = {  # the flags that both verbs pass on to criu
    "tcp-established": "tcp_established",
    "link-remap": "link_remap",
    "ext-unix-sk": "ext_unix_sk",
    "shell-job": "shell_job",
    "file-locks": "file_locks",
    "auto-dedup": "auto_dedup",
    "tcp-skip-in-flight": "tcp_skip_in_flight",
    "leave-running": "leave_running",
}


def checkpoint(command: CommandLine) -> None:
    """Write the processes of a running container to files; unless they go on, the container is then deleted."""
    options = _options(command)
    with record.open_locked(command.root(), command.arguments[0]) as entry:
        _check(entry)
        program = criu.find()
        folder, work = _made(command)
        pid, pids = entry.state["pid"], groups.of(entry).processes()
        if outside.strangers(pid, pids):
            cause = "a program of `exec` runs in it, and could not be restored"
            raise StateError(f"container {entry.id}", cause, "wait for its end")
        known = dump.notes(entry.config(), pid, pids)
        known.save(folder)
        dump.dump(program, pid, known, folder, work, options)
        if not {"leave-running", "pre-dump"} & command.flags:
            ending.destroy(entry, command.log)


def _check(entry: Record) -> None:
    """Raise StateError or UsageError for a container that cannot be dumped."""
    status = entry.status()
    if status == record.RUNNING and groups.is_frozen(entry):
        status = record.PAUSED
    if status != record.RUNNING:
        raise StateError(f"container {entry.id}", f"cannot checkpoint a container that is {status}")
    outside.check(entry.config())


def _options(command: CommandLine) -> dict[str, bool | str]:
    """Return the user's options as fields of criu_opts."""
    mode = command.value("manage-cgroups-mode", "ignore")  # tinybox itself makes the control groups, from config.json
    if mode not in MODES:
        raise UsageError(f"--manage-cgroups-mode {mode}", "is no mode", ", ".join(MODES))
    options: dict[str, bool | str] = {field: True for flag, field in _FLAGS.items() if flag in command.flags}
    if "pre-dump" in command.flags:
        options |= {"pre_dump": True, "track_mem": True}
    if command.value("parent-path"):
        if os.path.isabs(command.value("parent-path")):
            raise UsageError("--parent-path", "is not relative", "write it as seen from --image-path: ../parent")
        options |= {"parent_img": command.value("parent-path"), "track_mem": True}
    return options


def _images(command: CommandLine) -> str:
    """Return the directory of the images."""
    return os.path.abspath(command.value("image-path") or FOLDER)


def _made(command: CommandLine) -> tuple[str, str]:
    """Return the directories of the images and of the log, and make them if they are missing."""
    folder = _images(command)
    work = os.path.abspath(command.value("work-path") or folder)
    for path in (folder, work):
        try:
            os.makedirs(path, 0o700, exist_ok=True)
        except OSError as error:
            raise UsageError(path, f"cannot be made: {error.strerror}") from error
    return folder, work


def restore(command: CommandLine) -> int:
    """Make a container from a bundle, and let it go on with the processes of a checkpoint; return as `run` does."""
    options = _options(command)
    folder = _images(command)
    name = f"checkpoint {folder}"
    if not files.is_complete(folder):
        raise StateError(name, "there is none", "--image-path DIR")
    files.check_owner(folder)
    known, program = files.load(folder, name), criu.find()
    _, work = _made(command)

    def adapt(made: Creation) -> None:
        outside.check(made.config)
        entry = made.entry
        made.runner = restoring.RestoreRunner(
            restoration.Restoration(made.task, known, folder, program, entry.folder, work=work, options=options)
        )

    return running.run(command, adapt)
