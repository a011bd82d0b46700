"""The verb exec: run one more process in a container, by the container's config.json and the options of the command.

The process enters the container as that of `tinybox exec`, by a pidfd of the first process: planning/entering.py.
"""

from __future__ import annotations

import os

from tinybox.container.config import validate
from tinybox.container.planning import entering
from tinybox.container.planning.task import Task
from tinybox.container.process import init, plan_runner, spawn, wait_loop
from tinybox.container.process.handles import Handles
from tinybox.container.records import host
from tinybox.container.records.spec import CAPABILITY_SETS
from tinybox.errors import StateError, UsageError
from tinybox.linux import proc
from tinybox.linux import quick_json as json
from tinybox.oci import console, groups, program, record, shared
from tinybox.text_values import is_whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from tinybox.container.records.spec_types import Process, Spec, User
    from tinybox.oci.command_line import CommandLine
    from tinybox.oci.record import Record


class Execution:
    """One more process of the container *entry*, with the attributes that wait_loop.watch() needs.

    *config* is the container's with this process in it, *first* is the container's own process.
    """

    def __init__(
        self,
        entry: Record,
        config: Spec,
        first: Process,
        handles: Handles,
        *,
        dies_with_parent: bool,
        below: Sequence[str] = (),
    ) -> None:
        here = host.read(entry.cache)
        self.handles, self.limits_memory = handles, False
        self.cgroup = groups.of(entry, here.hierarchies)
        if below:
            from tinybox.isolation.cgroups import sub_group

            self.cgroup = sub_group.SubGroup(self.cgroup, sub_group.parsed(below))
        handles.namespace_fds[entering.TARGET] = open_process(entry)
        if shared.root(config, entry.state["bundle"]):
            handles.namespace_fds[entering.ROOT] = open_root(entry)
        keyring = entry.state.get("keyring", True)
        task = Task(config, entry.state["bundle"], here, handles, self.cgroup, entry.id, keyring=keyring, engine=True)
        task.first_process = first
        self.runner = plan_runner.PlanRunner(entering.plan(task, init.NONE, dies_with_parent=dies_with_parent), handles)


def open_process(entry: Record) -> int:
    """Return a pidfd of the container's first process; StateError if it has just ended."""
    try:
        return entry.open_process()
    except ProcessLookupError as error:
        raise StateError(f"container {entry.id}", "container not running", "it has just ended") from error


def open_root(entry: Record) -> int:
    """Open the root directory of the container's first process; StateError if it has just ended."""
    try:
        root = os.open(f"/proc/{entry.state['pid']}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        root = -1
    if root >= 0 and proc.is_alive(entry.state["pid"], entry.state["startTicks"]):
        return root
    raise StateError(f"container {entry.id}", "container not running", "it has just ended")


def run(command: CommandLine) -> int:
    """Run the process; in the foreground wait for its end, and return its exit status."""
    detached = "detach" in command.flags
    with wait_loop.Signals() as signals:
        execution = begin(command, detached=detached)
        try:
            status = 0 if detached else wait_loop.watch(execution, signals).status
        finally:
            if not detached:
                spawn.kill(execution.handles)
            execution.handles.close()
        wait_loop.write_rest(execution.handles, signals)
        return status


def begin(command: CommandLine, *, detached: bool) -> Execution:
    """Start the process in its container; after an error nothing of it is left.

    No lock is held: in a frozen container the process starts after `resume`, which must not wait for this command. If
    the container ends before, joining its namespaces fails.
    """
    with record.open_unlocked(command.root(), command.arguments[0]) as entry:
        if entry.status() not in record.SIGNALLED:
            raise StateError(f"container {entry.id}", "cannot exec in a container that is not running")
        if groups.is_frozen(entry) and "ignore-paused" not in command.flags:
            raise StateError(f"container {entry.id}", "cannot exec in a paused container", "--ignore-paused")
        config = entry.config()
        process = requested(config["process"], command)
        if "oomScoreAdj" in config["process"]:  # an exec must not escape the OOM killer; runc does the same
            process.setdefault("oomScoreAdj", config["process"]["oomScoreAdj"])
        console.check(command, terminal=bool(process.get("terminal")), detached=detached)
        process = program.complete(process, command, f"/proc/{entry.state['pid']}/root")
        watched = not detached and not command.value("console-socket")
        handles = Handles(kept=command.kept, interactive=not detached, watched=watched)
        below = command.values.get("cgroup", ())
        execution = Execution(
            entry,
            {**config, "process": process},
            config["process"],
            handles,
            dies_with_parent=not detached,
            below=below,
        )
        for warning in execution.runner.plan.warnings:
            command.log.write("warning", warning)
        try:
            execution.runner.create()
            console.connect(command, execution.handles)
            program.hand_over(command, execution.handles)
            execution.runner.start()
        except BaseException:
            execution.runner.undo()
            raise
    return execution


def requested(former: Process, command: CommandLine) -> Process:
    """Return the process to run: that of --process, or the container's process *former*, changed by the options."""
    if command.value("process"):
        return loaded(command.value("process"))
    if len(command.arguments) < 2:
        raise UsageError("exec", "needs a program", "exec ID PROGRAM, or --process FILE")
    process: Process = {**former, "args": command.arguments[1:], "terminal": "tty" in command.flags}
    process["env"] = [*former.get("env", []), *command.values.get("env", ())]
    process["cwd"] = command.value("cwd", former["cwd"])
    if "no-new-privs" in command.flags:
        process["noNewPrivileges"] = True
    if command.value("user"):
        process["user"] = {**process.get("user", {}), **user(command.value("user"))}
    if command.values.get("additional-gids"):
        groups = [*process.get("user", {}).get("additionalGids", []), *groups_of(command.values["additional-gids"])]
        process["user"] = {**process.get("user", {}), "additionalGids": groups}
    if command.values.get("cap"):
        sets = former.get("capabilities", {})
        more = [name.upper() for name in command.values["cap"]]
        inherited = [name for name in more if name in sets.get("inheritable", [])]  # only these can become ambient
        added = dict.fromkeys(("bounding", "effective", "permitted"), more) | {"ambient": inherited}
        process["capabilities"] = {
            name: list(dict.fromkeys([*sets.get(name, []), *added.get(name, [])])) for name in CAPABILITY_SETS
        }
    for name, field in (("apparmor", "apparmorProfile"), ("process-label", "selinuxLabel")):
        if command.value(name):
            process[field] = command.value(name)  # type: ignore[literal-required]
    return validate.check_process(process)


def user(text: str) -> User:
    """Return ``UID[:GID]``, in numbers, as a user of config.json; UsageError if *text* is anything else.

    The result replaces only these fields of the container's user, as in runc: all others stay, and the group stays
    without a GID. So a program does not lose a group that a file may deny.
    """
    uid, _, gid = text.partition(":")
    if not is_whole(uid) or not is_whole(gid or "0"):
        raise UsageError(f"--user {text}", "is no UID[:GID], in numbers")
    return {"uid": int(uid), "gid": int(gid)} if gid else {"uid": int(uid)}


def groups_of(lists: list[str]) -> list[int]:
    """Return the numbers in *lists* such as ``5,6``; UsageError if a part is no number."""
    numbers = [text for entry in lists for text in entry.split(",")]
    for text in numbers:
        if not is_whole(text):
            raise UsageError(f"--additional-gids {text}", "is no GID, in numbers")
    return [int(text) for text in numbers]


def loaded(path: str) -> Process:
    """Read a ``process`` object from the file *path*; UsageError names the field that is wrong."""
    try:
        with open(path, encoding="utf-8") as file:
            return validate.check_process(json.load(file))
    except ValueError as error:
        raise UsageError(path, f"is not JSON: {error}") from error
