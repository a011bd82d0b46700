"""`tinybox checkpoint`, and `start --checkpoint`: keep a running container's processes, and let them go on later.

A checkpoint is a directory: what criu has read of the processes (memory, registers, open files, namespaces), and notes
about what came from outside. The container's files are not in it: they stay in its bundle. The owner of a container
that ends with its checkpoint sees that it was killed, and records the status 137, as docker does.
"""

from __future__ import annotations

import os
import time

from tinybox.container import control, freezing
from tinybox.container.checkpoints import criu, dump, files, outside, restoration, restore
from tinybox.container.network import addresses
from tinybox.container.process import init
from tinybox.container.records import events, naming, spec, state
from tinybox.container.running import Running, running
from tinybox.errors import HostError, StateError, UsageError
from tinybox.linux.filesystem import files as trees
from tinybox.linux.filesystem import overlay_marks
from tinybox.linux.waiting import until

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinybox.container.lifecycle import Container
    from tinybox.container.records.paths import Paths
    from tinybox.container.records.spec_types import Spec

OPTIONS: dict[str, bool | str] = {"file_locks": True, "link_remap": True}  # of criu
PATIENCE = 10.0  # seconds that programs of `exec` and health checks may take to end


def create(
    paths: Paths, word: str, name: str, *, directory: str = "", leave_running: bool = False, wait: bool = True
) -> None:
    """Make the checkpoint *name* of a running container, which then ends, or goes on with *leave_running*.

    If it cannot be made, the container goes on, and nothing is left of the checkpoint. With *wait*, this returns when
    the container's owner has recorded the end; the owner itself must not wait for that.
    """
    with _target(paths, word) as target:
        config = spec.load(paths.bundle(target.id))
        _check(config, word)
        files.check_name(name)
        program = criu.find()
        where = files.place(paths.bundle(target.id), directory)
        with freezing.Freezer(paths, target.id) as freezer:
            if freezer.is_frozen():
                raise StateError(f"container {word}", "is paused", f"tinybox unpause {word}")
            pids = _alone(paths, target)
            had = {end.network: end.address.partition("/")[0] for end in addresses.endpoints(paths, target.id)}
            known = dump.notes(config, target.state["pid"], pids, had)
            folder = files.make(where, name, word)
            try:
                known.save(folder)
                _dump(paths, target, program, known, folder, leave_running=leave_running)
            except BaseException:
                trees.remove_tree(folder)
                raise
        if wait and not leave_running:
            control.await_end(target)
    events.emit(paths, target.id, "checkpoint")


def _target(paths: Paths, word: str) -> Running:
    try:
        return running(paths, word)
    except StateError as error:
        raise StateError(error.thing, error.cause, "only a running container has processes to keep") from error


def _check(config: Spec, word: str) -> None:
    """Raise UsageError or HostError for a container of which no checkpoint can be made.

    criu restores a terminal only if the first process is in its session, and tinybox's init is not.
    """
    if config["process"].get("terminal") and config.get("annotations", {}).get(spec.INIT) in (init.FORWARD, init.REAP):
        cause = "checkpoints of containers with a terminal are not supported"
        raise UsageError(f"container {word}", cause, "run it without -t, or with --init=none")
    if overlay_marks.refused:
        cause = "criu knows no root that fuse-overlayfs serves, or that is a copy"
        raise HostError(f"container {word}", cause, "put the store on ext4, xfs, btrfs or tmpfs")
    outside.check(config)


def _alone(paths: Paths, target: Running) -> list[int]:
    """Wait until no program of `exec` runs in the container, and return its pids; StateError: one goes on running."""
    group = freezing.group(paths, target.id)
    pid = target.state["pid"]
    if not until(lambda: not outside.strangers(pid, group.processes()), time.monotonic() + PATIENCE, state.PAUSE):
        cause = "a program that `exec` has started runs in it, and could not be restored"
        raise StateError(f"container {target.id[:12]}", cause, "wait for its end, or start it with exec -d")
    return group.processes()


def _dump(paths: Paths, target: Running, program: str, known: files.Notes, folder: str, *, leave_running: bool) -> None:
    """Dump the container's processes; if it ends with that, its restart policy does not start it again."""
    mark = os.path.join(paths.run_directory(target.id), state.NO_RESTART)
    if not leave_running:
        control.forbid_restart(paths, target.id)
    try:
        dump.dump(program, target.state["pid"], known, folder, folder, OPTIONS | {"leave_running": leave_running})
    except BaseException as error:
        if not leave_running and not target.ends_within(0):
            trees.discard(mark)
        if isinstance(error, HostError):
            error.cure = "the container goes on" if not target.ends_within(0) else ""  # the log goes with the images
        raise


def names(paths: Paths, word: str, directory: str = "") -> list[str]:
    """Return the names of a container's checkpoints, or of those in *directory*."""
    return files.names(files.place(paths.bundle(naming.find(paths, word)), directory))


def remove(paths: Paths, word: str, name: str, directory: str = "") -> None:
    """Remove a checkpoint of a container."""
    where = files.place(paths.bundle(naming.find(paths, word)), directory)
    trees.remove_tree(files.find(where, name, word))


def resume(container: Container, name: str, directory: str = "") -> None:
    """Let the next start of *container* go on from the checkpoint *name*; its program is not executed."""
    folder = files.find(files.place(container.bundle, directory), name, container.name)
    known = files.load(folder, f"checkpoint {name}")
    program = criu.find()
    _check(container.config, container.name)
    if container.endpoints is not None:
        container.endpoints.former = known.addresses
    _check_memory(container, folder, name)
    staging = os.path.join(container.bundle, container.config["root"]["path"])
    made = restoration.Restoration(container.task, known, folder, program, staging, options=dict(OPTIONS))
    container.runner = restore.RestoreRunner(made)
    container.plan = container.runner.plan


def _check_memory(container: Container, folder: str, name: str) -> None:
    """Raise StateError if the dumped memory is more than the container's limit: the kernel would kill it at once.

    PID 1 shares most of its memory with tinybox after a start, and has it for itself after a restore: some 9 MB.
    """
    limit = container.config.get("linux", {}).get("resources", {}).get("memory", {}).get("limit") or 0
    needed = files.memory(folder)
    if 0 < limit < needed:
        cause = f"needs {-(-needed >> 20)} MiB of memory, and the container may use {limit >> 20} MiB"
        raise StateError(f"checkpoint {name}", cause, f"tinybox update -m {needed >> 19}m {container.name}")
