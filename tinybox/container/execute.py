"""exec: one more process in a running container, beside its first one.

It joins every namespace of the container's first process (held by a pidfd, so no other process can be meant), its
capabilities, its filter and its control groups. A pid namespace takes only children. So the child that has joined all
the others, and has no more rights than the program will have, makes one more: that one is among the box's processes.
"""

from __future__ import annotations

import os
import signal

from tinybox.container import freezing, lifecycle
from tinybox.container.config import configure, option_values, user_option
from tinybox.container.planning import program, streams
from tinybox.container.planning.planner import check_labels, oom_score
from tinybox.container.planning.task import Task
from tinybox.container.process import child, init, spawn, wait_loop
from tinybox.container.process.plan import Plan, Step
from tinybox.container.process.plan_runner import PlanRunner
from tinybox.container.records import spec
from tinybox.errors import StateError, UsageError
from tinybox.isolation import idmap, namespaces, rootfs
from tinybox.linux import process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from tinybox.container.control import Running
    from tinybox.container.process.handles import Handles
    from tinybox.container.process.wait_loop import Ending, Signals
    from tinybox.container.records.host import Host
    from tinybox.container.records.paths import Paths
    from tinybox.container.records.spec import Process, Spec

TARGET = "target"  # what the pidfd is called among the live parts
ROOT = "root"  # and the root directory, of a container that has no mount namespace of its own


class Execution:
    """One process to be run in the running container *target*; what monitor.watch() needs to know of it."""

    def __init__(
        self,
        paths: Paths,
        here: Host,
        target: Running,
        arguments: Sequence[str],
        options: dict[str, Any],
        handles: Handles,
    ) -> None:
        if freezing.is_paused(target.id):
            raise StateError(f"container {target.id[:12]}", "is paused", f"tinybox unpause {target.id[:12]}")
        config = spec.load(paths.bundle(target.id))
        self.handles, self.limits_memory = handles, False
        self.cgroup = lifecycle.group(target.id, config, here)
        self.mode = init.NONE
        if options.get("detach") and config.get("annotations", {}).get(spec.INIT) in (init.FORWARD, init.REAP):
            self.mode = init.LEAVE
        changed = configured(config, target.state["pid"], arguments, options)
        self.task = Task(changed, paths.bundle(target.id), here, handles, self.cgroup, target.id)
        handles.namespace_fds[TARGET] = os.dup(target.pidfd)
        self.plan = plan(self.task, self.mode, dies_with_parent=not options.get("detach"))
        self.runner = PlanRunner(self.plan, handles)

    def start(self) -> None:
        """Carry out the plan; returns when the program runs, else raises, with nothing left of it."""
        try:
            self.runner.create()
            self.runner.start()
        except BaseException:
            self.runner.undo()
            raise

    def leave(self) -> None:
        """Start it and leave it to the box's PID 1: an orphan of ours would wait for the host's, and hold up the end.

        When a pid namespace ends, the kernel waits until every zombie in it has been reaped: pid_namespaces(7).
        """
        self.start()
        if self.mode == init.LEAVE:
            os.waitid(os.P_PIDFD, self.handles.pidfd, os.WEXITED)
        self.handles.close()

    def run(self, signals: Signals) -> Ending:
        """Start it and wait for its end."""
        self.start()
        try:
            return wait_loop.watch(self, signals)
        finally:
            spawn.kill(self.handles)
            self.handles.close()


def configured(config: Spec, pid: int, arguments: Sequence[str], options: dict[str, Any]) -> Spec:
    """Return the container's own config with another process in it: docker's exec options over the container's."""
    former = config["process"]
    asked: Process = {**former, "args": list(arguments), "terminal": bool(options.get("tty"))}
    variables = dict(line.partition("=")[::2] for line in former.get("env", []))
    if options.get("user"):
        asked["user"], directory = user_option.resolve(options["user"], [f"/proc/{pid}/root"])
        variables["HOME"] = directory
        if asked["user"].get("uid", 0) != 0 and not options.get("privileged"):
            asked["capabilities"] = {"bounding": former.get("capabilities", {}).get("bounding", [])}
    if options.get("tty"):
        variables["TERM"] = "xterm"
    variables |= option_values.environment(list(options.get("env") or ()), list(options.get("env_file") or ()))
    asked["env"] = [f"{name}={value}" for name, value in variables.items()]
    asked["cwd"] = options.get("workdir") or former["cwd"]
    if not asked["cwd"].startswith("/"):
        raise UsageError(f"--workdir {asked['cwd']}", "is not an absolute path")
    changed: Spec = {**config, "process": asked}
    if options.get("privileged"):
        everything = configure.everything_permitted()
        asked["capabilities"] = dict.fromkeys(("bounding", "effective", "permitted"), everything)
        changed["linux"] = {key: value for key, value in config["linux"].items() if key != "seccomp"}  # type: ignore[typeddict-item]
    return changed


def plan(task: Task, mode: str, *, dies_with_parent: bool) -> Plan:
    """Plan how a process joins the container whose first process is held by a pidfd among the live parts."""
    handles, kinds = task.handles, [*task.new, *task.joined]
    joins, pidfd = "pid" in kinds, handles.namespace_fds[TARGET]
    check_labels(task)
    die_with_parent = Step(
        "die-with-parent", "Die when tinybox dies", "PR_SET_PDEATHSIG(2const)", child.die_with_parent, signal.SIGKILL
    )
    inside = [
        *([die_with_parent] if dies_with_parent else []),
        *_processors(task, "initial"),
        Step("close-foreign", "Close what is open and not ours", "close_range(2)", child.close_foreign, handles),
        *program.erase_environment(),
        Step("wait", "Wait for the parent's word", "pipe(7)", child.wait_for_parent, handles),
        *_processors(task, "final"),
        *program.leave_keyring(task),
        Step("join", f"Join its namespaces: {', '.join(kinds)}", "setns(2)", join, pidfd, kinds),
        *_root(task),
        *_be_root(kinds),
        *program.take_keyring(task, new=False),
        *streams.steps(task.process, task.handles, b"/", console=False),
        *program.limits(task.process),
        *program.turns(task),
        Step("directory", f"Go to {task.process['cwd']}", "chdir(2)", rootfs.enter_directory, task.process["cwd"]),
        *program.rights(task),
        *program.begin(task, mode, joins=joins, dies_with_parent=dies_with_parent),
    ]
    return Plan(_outside(task, inside, joins), inside, task.warnings)


def _outside(task: Task, inside: list[Step], joins: bool) -> list[Step]:
    """Plan the parent's side: the child joins the container, and then goes on in its pid namespace and control groups.

    In a pid namespace that it only shares with the host, there is nothing to go into: it is born in the groups.
    """
    handles = task.handles
    pidfd = handles.namespace_fds[TARGET]
    groups = Step("open-cgroup", "Open its control group of version 2", "open(2)",
                  spawn.open_cgroup, task.cgroup, handles, pidfd)  # fmt: skip
    clone = Step("clone", "Make the child", "clone3(2)", spawn.spawn, handles, 0, inside)
    clone.undone_by("SIGKILL for the child", lambda: spawn.kill(handles))
    release = Step("release", "Let the child do its own steps", "pipe(7)", spawn.release, handles)
    ready = Step("await", "Wait until it is ready", "pipe(7)", spawn.await_child, handles)
    if not joins:
        says, act = "Put it into the control groups that clone3 could not reach", spawn.join_cgroup
        join_groups = Step("join-cgroup", says, "cgroups(7)", act, task.cgroup, handles)
        order = [groups, clone, join_groups, *oom_score(task), release]
    else:
        says, act = "Put it into the container's control groups", spawn.enter_cgroup
        join_groups = Step("join-cgroup", says, "cgroups(7)", act, task.cgroup, handles)
        first, last = program.adopt(task)
        order = [clone, release, first, groups, join_groups, *oom_score(task), last]
    return [*streams.pipes(task.process, handles), *program.trampoline(task), *order, ready]


def _processors(task: Task, moment: str) -> list[Step]:
    """Plan on which processors an exec begins, and on which it goes on; see ``execCPUAffinity`` in OCI's config.md."""
    wanted, field = task.process.get("execCPUAffinity", {}), f"process.execCPUAffinity.{moment}"
    text = wanted.get(moment)
    if not text and not (moment == "final" and wanted.get("initial")):
        return []
    from tinybox.isolation import priorities

    numbers = priorities.processors(text, field) if text else list(range(os.cpu_count() or 1))  # all of its group
    says = f"Run on the processors {text or 'of its control group'}"
    return [Step(f"processors-{moment}", says, "sched_setaffinity(2)", priorities.set_affinity, numbers, field)]


def join(pidfd: int, kinds: list[str]) -> None:
    """Join all the namespaces of the process behind *pidfd* at once; see setns(2), Linux 5.8."""
    process.setns(pidfd, namespaces.flags(kinds))


def _root(task: Task) -> list[Step]:
    """Plan the root of a container that shares its mount namespace, in which joining leads to somebody else's root."""
    if not task.shares_mounts:
        return []
    from tinybox.isolation import shared_root

    says = "Take the container's root, which is not its mount namespace's"
    return [Step("root", says, "chroot(2)", shared_root.take_root, task.handles.namespace_fds[ROOT])]


def _be_root(kinds: list[str]) -> list[Step]:
    says = "Be root of its user namespace"
    return [Step("become-root", says, "user_namespaces(7)", idmap.become_root)] if "user" in kinds else []
