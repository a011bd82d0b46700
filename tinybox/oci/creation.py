"""The verbs create, start and run; create and start are separate processes, see runtime.md of the OCI specification.

`create` ends when the container's first process waits at its gate, a FIFO. Then the process that called `create`
(conmon, a shim) adopts that process, as its subreaper. `start` writes to the gate, and reads from the report, another
FIFO, whether execve(2) has succeeded.
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
from tinybox.oci import console, descriptor, ending, groups, notify, record, shared
from tinybox.oci.command_line import listening

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from tinybox.container.records.spec import Process, Spec, User
    from tinybox.isolation.cgroups.hierarchies import Hierarchies
    from tinybox.oci.command_line import CommandLine
    from tinybox.oci.log import Log
    from tinybox.oci.record import Record


class Creation:
    """A container that is being made from a bundle."""

    def __init__(
        self, entry: Record, bundle: str, config: Spec, handles: Handles, *, keyring: bool, below: bool = False
    ) -> None:
        here = host.read(entry.cache)
        here.check()
        self.entry, self.bundle, self.config, self.handles, self.keyring = entry, bundle, config, handles, keyring
        self.below = callers_groups(here.hierarchies) if below else {}
        self.cgroup = groups.group(entry.id, config, here.hierarchies, below=self.below)
        self.limits_memory = False
        self.task = Task(config, bundle, here, handles, self.cgroup, entry.id, keyring=keyring, engine=True)
        self.runner = PlanRunner(planner.plan(self.task), handles)

    def note(self, config: Spec) -> None:
        """Write config.json and state.json before anything is made, so that `delete` can clean up a killed `create`.

        *config* is the bundle's, unchanged: the values that tinybox adds, such as HOME, differ for each exec's user.
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
            below=self.below,
            covers=root.look() if root else None,
            keyring=self.keyring,
        )

    def note_process(self) -> None:
        """Write the first process's pid and start time to state.json: the container's status is now created."""
        self.entry.write(pid=self.handles.pid, startTicks=start_ticks(self.handles.pid))


def callers_groups(where: Hierarchies) -> dict[str, str]:
    """Return the directories for --below-caller, by the mount point of each hierarchy; see `callers.places`."""
    from tinybox.isolation.cgroups import callers

    return callers.of_this_process(where)


def create(command: CommandLine) -> None:
    """Make a container, and leave its first process to the subreaper that adopts it."""
    make(command)


def make(command: CommandLine, adapt: Callable[[Creation], None] = lambda _: None) -> Creation:
    """Make the container of a bundle without starting its program; after an error nothing of it is left.

    *adapt* gets the creation before anything is made: a restore gives it another plan.
    """
    bundle = os.path.abspath(command.value("bundle") or ".")
    config = validate.load(bundle)
    wants_terminal = bool(config["process"].get("terminal"))
    detached = command.verb == "create" or "detach" in command.flags
    console.check(command, terminal=wants_terminal, detached=detached)
    entry = record.make(command.root(), command.arguments[0])
    creation = None
    try:
        process = complete(config["process"], command, os.path.join(bundle, config["root"]["path"]))
        watched = not detached and not command.value("console-socket")
        handles = Handles(interactive=not detached, folder=entry.folder, kept=command.kept, watched=watched)
        keyring = "no-new-keyring" not in command.flags
        wanted = notify.passed_on({**config, "process": process})
        creation = Creation(entry, bundle, wanted, handles, keyring=keyring, below="below-caller" in command.flags)
        adapt(creation)
        for warning in creation.runner.plan.warnings:
            command.log.write("warning", warning)
        creation.note(config)
        creation.runner.create()
        console.connect(command, creation.handles)
        descriptor.send_pidfd(command, creation.handles)
        creation.note_process()
        write_pid(command, creation.handles)
    except BaseException:
        made = creation is not None and bool(creation.runner.done)
        if creation is not None:
            creation.runner.undo()
        if made:
            ending.after(entry, config, command.log)
        if creation is None or not creation.runner.left:  # else `delete` needs the record
            entry.remove()
        raise
    return creation


def complete(process: Process, command: CommandLine, root: str) -> Process:
    """Return *process* with the values that a runtime adds.

    These are HOME of its user, the caller's umask if the config has none, and LISTEN_FDS if tinybox was started by
    socket activation; see sd_listen_fds(3). UsageError: a descriptor of --preserve-fds is not open.
    """
    mask = os.umask(0o022)  # for the files that this process makes
    user: User = {"umask": mask, **process.get("user", {})}
    environment = list(process.get("env", []))
    if not any(line.startswith("HOME=") for line in environment):
        environment.append(f"HOME={user_option.home(user.get('uid', 0), [root])}")
    if sockets := listening():
        environment += [f"LISTEN_FDS={sockets}", "LISTEN_PID=1"]
    if command.kept < command.inherited:
        raise UsageError("--preserve-fds", f"file descriptor {3 + command.kept} is not open")
    for fd in range(3, 3 + command.kept):
        os.set_inheritable(fd, True)
    return {**process, "user": user, "env": environment}


def write_pid(command: CommandLine, handles: Handles) -> None:
    """Write the pid into --pid-file by rename(2): the engine may wait for the file, and must not see a part of it."""
    path = command.value("pid-file")
    if not path:
        return
    files.replace(path, str(handles.pid).encode(), 0o644)


def start(command: CommandLine) -> None:
    """Start the program of a created container; the exit status is 126 or 127 if execve(2) refuses it."""
    with record.open_locked(command.root(), command.arguments[0]) as entry:
        release(entry, command.log)


def release(entry: Record, log: Log) -> None:
    """Open the container's gate, and read whether its program was started; StateError: no process waits there."""
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
        gate.receive()
        hooks.run_all(config, "poststart", ending.hook_state(entry, record.RUNNING), entry.state["bundle"])
    except BaseException:
        if config.get("hooks"):  # a hook has failed: destroy the container, see "Lifecycle" in runtime.md
            ending.destroy(entry, log)
        raise
    finally:
        gate.close()


def run(command: CommandLine, adapt: Callable[[Creation], None] = lambda _: None) -> int:
    """Create and start a container; in the foreground, wait for its end, delete it, and return its exit status."""
    with wait_loop.Signals() as signals:
        creation = make(command, adapt)
        try:
            creation.runner.start()
            state = ending.hook_state(creation.entry, record.RUNNING)
            hooks.run_all(creation.config, "poststart", state, creation.bundle)
        except BaseException:
            ending.destroy(creation.entry, command.log)
            raise
        if "detach" in command.flags:
            return 0
        creation.entry.release()  # while the container runs, other commands may act on it
        try:
            status = wait_loop.watch(creation, signals).status
        except BaseException:
            remove(creation.entry, command.log)
            raise
        if "keep" not in command.flags:
            remove(creation.entry, command.log)
        return status


def remove(former: Record, log: Log) -> None:
    """Delete the container of a `run` that has ended, unless another command has deleted it."""
    try:
        entry = record.open_locked(former.root, former.id)
    except StateError:
        return
    with entry:
        if entry.state.get("created") == former.state["created"]:
            ending.destroy(entry, log)
