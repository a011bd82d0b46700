"""create, start and run: one life in pieces, each in a process of its own; see runtime.md of the OCI specification.

`create` ends when the container's first process waits at its gate; whoever started `create` (conmon, a shim) adopts
that process, as its subreaper. `start` comes to the gate, says the word, and hears whether execve(2) has succeeded.
"""

from __future__ import annotations

import os

from tinybox.container.config import user_option, validate
from tinybox.container.planning import planner
from tinybox.container.planning.task import Task
from tinybox.container.process import hooks, sync_pipe, wait_loop
from tinybox.container.process.handles import Handles
from tinybox.container.process.plan_runner import PlanRunner, start_ticks
from tinybox.container.process.sync_pipe import ReopenedSyncPipes
from tinybox.container.records import host, spec
from tinybox.errors import StateError, UsageError
from tinybox.linux import files
from tinybox.oci import console, ending, groups, record, shared
from tinybox.oci.words import listening

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinybox.container.records.spec import Process, Spec, User
    from tinybox.oci.log import Log
    from tinybox.oci.record import Record
    from tinybox.oci.words import Words


class Creation:
    """A container that is being made from a bundle."""

    def __init__(self, entry: Record, bundle: str, config: Spec, handles: Handles, *, keyring: bool) -> None:
        here = host.read(entry.cache)
        here.check()
        self.entry, self.bundle, self.config, self.handles, self.keyring = entry, bundle, config, handles, keyring
        self.cgroup = groups.group(entry.id, config, here.hierarchies)
        self.limits_memory = False
        task = Task(config, bundle, here, handles, self.cgroup, entry.id, keyring=keyring)
        self.runner = PlanRunner(planner.plan(task), handles)

    def note(self, config: Spec) -> None:
        """Write down what is wanted before anything is made: so what a killed `create` leaves can be found.

        That is the *config* of the bundle, as it is: what we add, such as HOME, depends on an exec's user, too.
        """
        groups.check_free(self.cgroup)
        spec.save(config, self.entry.folder)
        root = shared.root(self.config, self.bundle)
        self.entry.write(
            ociVersion=spec.OCI_VERSION,
            id=self.entry.id,
            bundle=self.bundle,
            annotations=self.config.get("annotations", {}),
            created=record.now(),
            groups=getattr(self.cgroup, "ours", None),
            covers=root.look() if root else None,
            keyring=self.keyring,
        )

    def note_process(self) -> None:
        """Write down which process it is: the container is now created."""
        self.entry.write(pid=self.handles.pid, startTicks=start_ticks(self.handles.pid))


def create(words: Words) -> None:
    """Make a container, and leave it to whoever adopts its first process."""
    make(words)


def make(words: Words) -> Creation:
    """Make the container of a bundle, all but the start of its program; whatever goes wrong, nothing of it is left."""
    bundle = os.path.abspath(words.value("bundle") or ".")
    config = validate.load(bundle)
    wants_terminal = bool(config["process"].get("terminal"))
    detached = words.verb == "create" or "detach" in words.flags
    console.check(words, wanted=wants_terminal, detached=detached)
    entry = record.make(words.root(), words.arguments[0])
    creation = None
    try:
        process = complete(config["process"], words, os.path.join(bundle, config["root"]["path"]))
        handles = Handles(interactive=not detached, folder=entry.folder, kept=words.kept, watched=not detached)
        keyring = "no-new-keyring" not in words.flags
        creation = Creation(entry, bundle, {**config, "process": process}, handles, keyring=keyring)
        for warning in creation.runner.plan.warnings:
            words.log.write("warning", warning)
        creation.note(config)
        creation.runner.create()
        if words.value("console-socket"):
            console.send(words.value("console-socket"), creation.handles)
        creation.note_process()
        write_pid(words, creation.handles)
    except BaseException:
        made = creation is not None and bool(creation.runner.done)
        if creation is not None:
            creation.runner.undo()
        if made:
            ending.after(entry, config, words.log)
        if creation is None or not creation.runner.left:  # else `delete` finds by it what is left
            entry.remove()
        raise
    return creation


def complete(process: Process, words: Words, root: str) -> Process:
    """Return *process* with what a runtime adds.

    That is HOME of its user, our own umask where none is asked for, and LISTEN_FDS of who activated us by a socket; see
    sd_listen_fds(3). UsageError: a file that it shall have is not open.
    """
    mask = os.umask(0o022)  # for what we make ourselves
    user: User = {"umask": mask, **process.get("user", {})}
    environment = list(process.get("env", []))
    if not any(line.startswith("HOME=") for line in environment):
        environment.append(f"HOME={user_option.home(user.get('uid', 0), [root])}")
    if sockets := listening():
        environment += [f"LISTEN_FDS={sockets}", "LISTEN_PID=1"]
    if words.kept < words.asked:
        raise UsageError("--preserve-fds", f"file descriptor {3 + words.kept} is not open")
    for fd in range(3, 3 + words.kept):
        os.set_inheritable(fd, True)
    return {**process, "user": user, "env": environment}


def write_pid(words: Words, handles: Handles) -> None:
    """Write the process's number into --pid-file, whole or not at all: its reader may wait for the file to appear."""
    path = words.value("pid-file")
    if not path:
        return
    files.replace(path, str(handles.pid).encode(), 0o644)


def start(words: Words) -> None:
    """Let a created container's program begin; 126 or 127 when execve(2) refuses it."""
    with record.find(words.root(), words.arguments[0]) as entry:
        release(entry, words.log)


def release(entry: Record, log: Log) -> None:
    """Say the word at the container's gate, and hear what comes of it; StateError: nobody waits there."""
    status = entry.status()
    if status == record.RUNNING:
        raise StateError(f"container {entry.id}", "cannot start an already running container")
    if status != record.CREATED:
        raise StateError(f"container {entry.id}", f"cannot start a container that is {status}")
    if ending.group_of(entry).frozen():
        raise StateError(f"container {entry.id}", "cannot start a container that is paused", "resume it first")
    try:
        gate = ReopenedSyncPipes(entry.folder)
    except ProcessLookupError as error:
        raise StateError(f"container {entry.id}", "cannot start a container that has just ended") from error
    config = entry.config()
    try:
        gate.open_gate(sync_pipe.START)
        gate.hear()
        hooks.run_all(config, "poststart", ending.hook_state(entry, record.RUNNING))
    except BaseException:
        if config.get("hooks"):  # one has failed: the container ends here, see "Lifecycle" in runtime.md
            ending.destroy(entry, log)
        raise
    finally:
        gate.close()


def run(words: Words) -> int:
    """Create and start a container; in the foreground, wait for its end, delete it, and return its exit status."""
    with wait_loop.Signals() as signals:
        creation = make(words)
        try:
            creation.runner.start()
            hooks.run_all(creation.config, "poststart", ending.hook_state(creation.entry, record.RUNNING))
        except BaseException:
            ending.destroy(creation.entry, words.log)
            raise
        if "detach" in words.flags:
            return 0
        creation.entry.release()  # while it runs, others may act on it
        try:
            status = wait_loop.watch(creation, signals).status
        except BaseException:
            remove(creation.entry, words.log)
            raise
        if "keep" not in words.flags:
            remove(creation.entry, words.log)
        return status


def remove(former: Record, log: Log) -> None:
    """Delete the container of a `run` that has ended, if nobody else has done that."""
    try:
        entry = record.find(former.root, former.id)
    except StateError:
        return
    with entry:
        if entry.state.get("created") == former.state["created"]:
            ending.destroy(entry, log)
