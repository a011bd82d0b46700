"""The verb create: make a container from a bundle, without starting its program; see runtime.md of OCI.

`create` ends when the container's first process waits at its gate, a FIFO. Then the process that called `create`
(conmon, a shim) adopts that process, as its subreaper. Another process, `start`, opens the gate: see starting.py.
"""

from __future__ import annotations

import os

from tinybox.container.config import validate
from tinybox.container.planning import planner
from tinybox.container.planning.task import Task
from tinybox.container.process.handles import Handles
from tinybox.container.process.plan_runner import PlanRunner, start_ticks
from tinybox.container.records import host, spec
from tinybox.oci import console, groups, program, record, shared

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from tinybox.container.records.spec_types import Spec
    from tinybox.oci.command_line import CommandLine
    from tinybox.oci.record import Record


class Creation:
    """A container that is being made from a bundle."""

    def __init__(
        self, entry: Record, bundle: str, config: Spec, handles: Handles, *, keyring: bool, below: bool = False
    ) -> None:
        here = host.read(entry.cache)
        here.check()
        self.entry, self.bundle, self.config, self.handles, self.keyring = entry, bundle, config, handles, keyring
        self.below = groups.of_caller(config, here.hierarchies) if below else {}
        self.cgroup = groups.group(entry.id, config, groups.moved(here.hierarchies, self.below))
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
            cgroup=self.cgroup.name,
            groups=self.cgroup.ours,
            below=self.below,
            outline=record.outline(config),
            covers=root.look() if root else None,
            keyring=self.keyring,
        )

    def note_process(self) -> None:
        """Write the first process's pid and start time to state.json: the container's status is now created."""
        self.entry.write(pid=self.handles.pid, startTicks=start_ticks(self.handles.pid))


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
        wanted = completed(config, command, bundle)
        watched = not detached and not command.value("console-socket")
        handles = Handles(interactive=not detached, folder=entry.folder, kept=command.kept, watched=watched)
        keyring = "no-new-keyring" not in command.flags
        creation = Creation(entry, bundle, wanted, handles, keyring=keyring, below="below-caller" in command.flags)
        adapt(creation)
        for warning in creation.runner.plan.warnings:
            command.log.write("warning", warning)
        creation.note(config)
        creation.runner.create()
        console.connect(command, creation.handles)
        creation.note_process()
        program.hand_over(command, creation.handles)
    except BaseException:
        made = creation is not None and bool(creation.runner.done)
        if creation is not None:
            creation.runner.undo()
        if made:
            from tinybox.oci import ending

            ending.after(entry, config, command.log)
        if creation is None or not creation.runner.left:  # else `delete` needs the record
            entry.remove()
        raise
    return creation


def completed(config: Spec, command: CommandLine, bundle: str) -> Spec:
    """Return *config* with the values that a runtime adds, and with the socket of the caller's manager, if any."""
    process = program.complete(config["process"], command, os.path.join(bundle, config["root"]["path"]))
    wanted: Spec = {**config, "process": process}
    if os.environ.get("NOTIFY_SOCKET"):
        from tinybox.oci import notify

        return notify.passed_on(wanted)
    return wanted
