"""exec: one more process in a container, made of what its own config.json says and of what is asked for here.

The process joins the container as `tinybox exec` does it, by a pidfd of the first process; see container/execute.py.
"""

from __future__ import annotations

import os

from tinybox.container import execute
from tinybox.container.config import validate
from tinybox.container.planning.task import Task
from tinybox.container.process import init, plan_runner, spawn, wait_loop
from tinybox.container.process.handles import Handles
from tinybox.container.records import host
from tinybox.errors import StateError, UsageError
from tinybox.linux import proc
from tinybox.linux import quick_json as json
from tinybox.oci import console, creation, ending, groups, record, shared
from tinybox.text_values import is_whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinybox.container.records.spec import Process, Spec, User
    from tinybox.oci.record import Record
    from tinybox.oci.words import Words


class Execution:
    """One more process of the container *entry*; what monitor.watch() needs to know of it."""

    def __init__(self, entry: Record, config: Spec, handles: Handles, *, dies_with_parent: bool) -> None:
        here = host.read(entry.cache)
        self.handles, self.limits_memory = handles, False
        self.cgroup = groups.group(entry.id, config, here.hierarchies, entry.state.get("groups") or ())
        handles.namespace_fds[execute.TARGET] = open_process(entry)
        if shared.root(config, entry.state["bundle"]):
            handles.namespace_fds[execute.ROOT] = open_root(entry)
        keyring = entry.state.get("keyring", True)
        task = Task(config, entry.state["bundle"], here, handles, self.cgroup, entry.id, keyring=keyring)
        self.runner = plan_runner.PlanRunner(execute.plan(task, init.NONE, dies_with_parent=dies_with_parent), handles)


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


def run(words: Words) -> int:
    """Run the process; in the foreground wait for its end, and return its exit status."""
    detached = "detach" in words.flags
    with wait_loop.Signals() as signals:
        execution = begin(words, detached=detached)
        try:
            return 0 if detached else wait_loop.watch(execution, signals).status
        finally:
            if not detached:
                spawn.kill(execution.handles)
            execution.handles.close()


def begin(words: Words, *, detached: bool) -> Execution:
    """Start the process in its container; whatever goes wrong, nothing of it is left.

    No lock is held: in a frozen container it begins when that goes on, and `resume` must not wait for us. Should the
    container end meanwhile, its namespaces cannot be joined any more.
    """
    with record.look(words.root(), words.arguments[0]) as entry:
        if entry.status() not in ending.SIGNALLED:
            raise StateError(f"container {entry.id}", "cannot exec in a container that is not running")
        if ending.group_of(entry).frozen() and "ignore-paused" not in words.flags:
            raise StateError(f"container {entry.id}", "cannot exec in a paused container", "--ignore-paused")
        config = entry.config()
        process = wanted(config["process"], words)
        if "oomScoreAdj" in config["process"]:  # no way to be spared, and runc's way, too
            process.setdefault("oomScoreAdj", config["process"]["oomScoreAdj"])
        console.check(words, wanted=bool(process.get("terminal")), detached=detached)
        process = creation.complete(process, words, f"/proc/{entry.state['pid']}/root")
        handles = Handles(kept=words.kept, interactive=not detached, watched=not detached)
        execution = Execution(entry, {**config, "process": process}, handles, dies_with_parent=not detached)
        for warning in execution.runner.plan.warnings:
            words.log.write("warning", warning)
        try:
            execution.runner.create()
            if words.value("console-socket"):
                console.send(words.value("console-socket"), execution.handles)
            creation.write_pid(words, execution.handles)
            execution.runner.start()
        except BaseException:
            execution.runner.undo()
            raise
    return execution


def wanted(former: Process, words: Words) -> Process:
    """Return the process that is asked for: that of --process, or the container's own with what the options change."""
    if words.value("process"):
        return loaded(words.value("process"))
    if len(words.arguments) < 2:
        raise UsageError("exec", "wants a program", "exec ID PROGRAM, or --process FILE")
    asked: Process = {**former, "args": words.arguments[1:], "terminal": "tty" in words.flags}
    asked["env"] = [*former.get("env", []), *words.values.get("env", ())]
    asked["cwd"] = words.value("cwd", former["cwd"])
    if "no-new-privs" in words.flags:
        asked["noNewPrivileges"] = True
    if words.value("user"):
        asked["user"] = user(words.value("user"))
    if words.values.get("additional-gids"):
        asked["user"] = {**asked.get("user", {}), "additionalGids": groups_of(words.values["additional-gids"])}
    if words.values.get("cap"):
        sets = former.get("capabilities", {})
        more = [name.upper() for name in words.values["cap"]]
        asked["capabilities"] = {
            name: list(dict.fromkeys([*sets.get(name, []), *more])) for name in ("bounding", "effective", "permitted")
        } | {name: sets.get(name, []) for name in ("inheritable", "ambient")}
    for name, field in (("apparmor", "apparmorProfile"), ("process-label", "selinuxLabel")):
        if words.value(name):
            asked[field] = words.value(name)  # type: ignore[literal-required]
    return validate.check_process(asked)


def user(text: str) -> User:
    """Return ``UID[:GID]``, numbers only, as OCI's user; else UsageError."""
    uid, _, gid = text.partition(":")
    if not is_whole(uid) or not is_whole(gid or "0"):
        raise UsageError(f"--user {text}", "is no UID[:GID], in numbers")
    return {"uid": int(uid), "gid": int(gid or 0)}


def groups_of(lists: list[str]) -> list[int]:
    """Return the numbers in *lists* such as ``5,6``; else UsageError."""
    numbers = [text for word in lists for text in word.split(",")]
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
