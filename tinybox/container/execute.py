"""exec: run one more process in a running container, beside its first process.

The child joins every namespace of the container's first process, and gets its capabilities, its seccomp filter and its
control groups. A pidfd identifies that first process, so no later process with the same pid can be meant. For a pid
namespace, setns(2) has an effect only on later children. So the child joins all namespaces, gives up all rights that
the program will not have, and makes a second process, which is in the box's pid namespace and becomes the program.
"""

from __future__ import annotations

import os

from tinybox.container import freezing
from tinybox.container.config import option_values
from tinybox.container.planning import cgroups, joining, labels, program, streams
from tinybox.container.planning.task import Task
from tinybox.container.process import child, init, spawn, wait_loop
from tinybox.container.process.plan import Plan, Step
from tinybox.container.process.plan_runner import PlanRunner
from tinybox.container.records import events, spec
from tinybox.container.running import running
from tinybox.errors import DamagedError, UsageError
from tinybox.isolation import idmap, namespaces, rootfs
from tinybox.linux import process
from tinybox.linux import quick_json as json
from tinybox.linux.signals import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from tinybox.container.process.handles import Handles
    from tinybox.container.process.wait_loop import Ending, Signals
    from tinybox.container.records.host import Host
    from tinybox.container.records.paths import Paths
    from tinybox.container.records.spec_types import Process, Spec
    from tinybox.container.running import Running

TARGET = "target"  # the key of the pidfd in Handles.namespace_fds
ROOT = "root"  # the key of the root directory there, if the container has no mount namespace of its own


def execute(
    paths: Paths, here: Host, word: str, command: Sequence[str], options: dict[str, Any], handles: Handles
) -> Ending | None:
    """Run *command* in the running container that *word* names, with the *options* of docker-exec(1); return its end.

    With the option ``detach`` leave it running, and return None. Raises StateError if the container does not run. After
    an error *handles* are closed.
    """
    try:
        with running(paths, word) as target, wait_loop.Signals() as signals:
            execution = Execution(paths, here, target, command, options, handles)
            if not options.get("detach"):
                return execution.run(signals)
            execution.leave()
    except BaseException:
        handles.close()
        raise
    return None


class Execution:
    """One process to be run in the running container *target*, with the attributes that wait_loop.watch() reads."""

    def __init__(
        self,
        paths: Paths,
        here: Host,
        target: Running,
        arguments: Sequence[str],
        options: dict[str, Any],
        handles: Handles,
    ) -> None:
        config = spec.load(paths.bundle(target.id))
        self.paths, self.handles, self.limits_memory = paths, handles, False
        self.id, self.annotations = os.urandom(32).hex(), target.state["annotations"]
        self.cgroup = cgroups.group(target.id, config, here)
        freezing.refuse_paused(paths, target.id, self.cgroup)
        self.mode = init.NONE
        if options.get("detach") and config.get("annotations", {}).get(spec.INIT) in (init.FORWARD, init.REAP):
            self.mode = init.LEAVE
        changed = configured(config, target.state["pid"], arguments, options)
        self.task = Task(changed, paths.bundle(target.id), here, handles, self.cgroup, target.id)
        self.task.first_process = config["process"]
        if self.task.shares_mounts:  # tinybox has made none without; `oci/execute.py` has a root directory for them
            raise DamagedError(f"container {target.id[:12]}", "its config.json is damaged: no mount namespace is new")
        handles.namespace_fds[TARGET] = os.dup(target.pidfd)
        self.plan = plan(self.task, self.mode, dies_with_parent=not options.get("detach"))
        self.runner = PlanRunner(self.plan, handles)
        if handles.leaving is not None:
            handles.leaving.told = lambda: self.tell("exec_detach")

    def start(self) -> None:
        """Carry out the plan; return when the program runs, or undo everything and raise the error.

        No other command can pause the container meanwhile; StateError: it is paused.
        """
        with freezing.KeptFromPausing(self.paths, self.task.container, self.cgroup):
            self.start_in_group()
        command = " ".join(self.task.process["args"])
        self.tell(f"exec_create: {command}", f"exec_start: {command}")

    def tell(self, *actions: str, **attributes: object) -> None:
        """Append the events *actions* of this program, one after the other."""
        told = {"execID": self.id, **attributes}
        container, annotations = self.task.container, self.annotations
        events.write(
            self.paths, *(events.of_container(self.paths, container, action, annotations, **told) for action in actions)
        )

    def start_in_group(self) -> None:
        """Do the same in a process that is in the container's control groups, so that it is paused with them."""
        try:
            self.runner.create()
            self.runner.start()
        except BaseException:
            self.runner.undo()
            raise

    def leave(self) -> None:
        """Start the process and leave it to the box's PID 1, which reaps it; this is ``exec -d``.

        If it were a child of tinybox and tinybox ended, the host's PID 1 would have to reap it. When a pid namespace
        ends, the kernel waits until every zombie in it has been reaped, so the end of the box would wait for the host:
        pid_namespaces(7).
        """
        self.start()
        if self.mode == init.LEAVE:
            os.waitid(os.P_PIDFD, self.handles.pidfd, os.WEXITED)
        self.handles.close()

    def run(self, signals: Signals) -> Ending:
        """Start the process, wait for its end, and return how it ended."""
        self.start()
        try:
            ending = wait_loop.watch(self, signals)
            self.tell("exec_die", exitCode=ending.status)
            return ending
        finally:
            spawn.kill(self.handles)
            self.handles.close()


def configured(config: Spec, pid: int, arguments: Sequence[str], options: dict[str, Any]) -> Spec:
    """Return the container's config with the new process in it: docker's exec options override the container's."""
    former = config["process"]
    new: Process = {**former, "args": list(arguments), "terminal": bool(options.get("tty"))}
    new.pop("consoleSize", None)  # that of the terminal of the container's own program
    variables = dict(line.partition("=")[::2] for line in former.get("env", []))
    if options.get("user"):
        from tinybox.container.config import user_option

        root = [f"/proc/{pid}/root"]
        new["user"], directory = user_option.resolve(options["user"], root)
        if added := config.get("annotations", {}).get(spec.GROUP_ADD):
            user_option.add_groups(new["user"], json.loads(added), root)
        variables["HOME"] = directory
        if new["user"].get("uid", 0) != 0 and not options.get("privileged"):
            new["capabilities"] = {"bounding": former.get("capabilities", {}).get("bounding", [])}
    if options.get("tty"):
        variables.setdefault("TERM", "xterm")  # the box may have a TERM of its own (-e, the image)
    variables |= option_values.environment(list(options.get("env") or ()), list(options.get("env_file") or ()))
    new["env"] = [f"{name}={value}" for name, value in variables.items()]
    new["cwd"] = options.get("workdir") or former["cwd"]
    if not new["cwd"].startswith("/"):
        raise UsageError(f"--workdir {new['cwd']}", "is not an absolute path")
    changed: Spec = {**config, "process": new}
    if options.get("privileged"):
        from tinybox.container.config import configure  # all that turns options into a config.json: only for this

        everything = configure.everything_permitted()
        new["capabilities"] = dict.fromkeys(("bounding", "effective", "permitted"), everything)
        changed["linux"] = {key: value for key, value in config["linux"].items() if key != "seccomp"}  # type: ignore[typeddict-item]
    return changed


def plan(task: Task, mode: str, *, dies_with_parent: bool) -> Plan:
    """Plan how a process joins the container whose first process has the pidfd ``namespace_fds[TARGET]``."""
    handles, directory = task.handles, task.process["cwd"]
    pidfd = handles.namespace_fds[TARGET]
    kinds = [*task.new, *task.joined]
    if "time" not in kinds and has_own_clocks(process.pid_of(pidfd)):
        kinds.append("time")
    joins = "pid" in kinds
    labels.check(task)
    die_with_parent = Step(
        "die-with-parent", "Die when tinybox dies", "PR_SET_PDEATHSIG(2const)", child.die_with_parent, signal.SIGKILL
    )
    inside = [
        *([die_with_parent] if dies_with_parent else []),
        *_processors(task, "initial"),
        Step("close-foreign", "Close tinybox's own file descriptors", "close_range(2)", child.close_foreign, handles),
        *program.erase_environment(task),
        *program.reset_own(task),
        Step("wait", "Wait until the parent opens the gate", "pipe(7)", child.wait_for_parent, handles),
        *_processors(task, "final"),
        *program.leave_keyring(task),
        Step("join", f"Join the container's namespaces: {', '.join(kinds)}", "setns(2)", join, pidfd, kinds),
        *_root(task),
        *_be_root(kinds),
        *program.join_keyring(task, new=False),
        *streams.steps(task.process, task.handles, b"/", console=False),
        *program.limits(task.process),
        *program.scheduling(task),
        Step("directory", f"Go to {directory}", "chdir(2)", rootfs.enter_existing_directory, directory),
        *program.rights(task, mode, joins=joins),
        *program.begin(task, mode, joins=joins, dies_with_parent=dies_with_parent),
    ]
    return Plan(_outside(task, inside, joins), inside, task.warnings)


def _outside(task: Task, inside: list[Step], joins: bool) -> list[Step]:
    """Plan the parent's side: the child joins the container, then the parent moves the second child into its cgroups.

    If the container shares the host's pid namespace (not *joins*), the first child is enough; clone3(2) makes it in
    the control group.
    """
    handles = task.handles
    pidfd = handles.namespace_fds[TARGET]
    groups = Step("open-cgroup", "Open the container's control group of version 2", "open(2)",
                  spawn.open_cgroup, task.cgroup, handles, pidfd)  # fmt: skip
    clone = Step("clone", "Make the child", "clone3(2)", spawn.spawn, handles, 0, inside)
    clone.undone_by("SIGKILL for the child", lambda: spawn.kill(handles))
    release = Step("release", "Let the child do its own steps", "pipe(7)", spawn.release, handles)
    ready = Step("await", "Wait until the child is ready", "pipe(7)", spawn.await_child, handles)
    _, classified = cgroups.class_of_service(task)
    if not joins:
        says, act = "Put the child into the control groups that clone3 could not reach", spawn.join_cgroup
        join_groups = Step("join-cgroup", says, "cgroups(7)", act, task.cgroup, handles)
        order = [groups, clone, *program.reset_child(task), join_groups, *classified, *cgroups.oom_score(task), release]
    else:
        says, act = "Put the child into the container's control groups", spawn.enter_cgroup
        join_groups = Step("join-cgroup", says, "cgroups(7)", act, task.cgroup, handles)
        first, last = joining.adopt(task)
        order = [clone, *program.reset_child(task), release, first, groups, join_groups]
        order += [*classified, *cgroups.oom_score(task), last]
    return [*streams.pipes(task), *program.trampoline(task), *order, ready, *streams.give(task)]


def _processors(task: Task, moment: str) -> list[Step]:
    """Plan the processors for the ``initial`` or ``final`` *moment*; see ``execCPUAffinity`` in OCI's config.md."""
    affinity, field = task.process.get("execCPUAffinity", {}), f"process.execCPUAffinity.{moment}"
    text = affinity.get(moment)
    if not text and not (moment == "final" and affinity.get("initial")):
        return []
    from tinybox.isolation import priorities

    numbers = priorities.processors(text, field) if text else list(range(os.cpu_count() or 1))  # all of its group
    says = f"Run on the processors {text or 'of its control group'}"
    return [Step(f"processors-{moment}", says, "sched_setaffinity(2)", priorities.set_affinity, numbers, field)]


def join(pidfd: int, kinds: list[str]) -> None:
    """Join all the namespaces of the process behind *pidfd* at once; see setns(2), Linux 5.8."""
    process.setns(pidfd, namespaces.flags(kinds))


def has_own_clocks(pid: int) -> bool:
    """Return whether *pid* has another time namespace than this process: criu gives restored processes their own.

    If *pid* has ended, the process that is to join it will find that out; see time_namespaces(7).
    """
    try:
        return not os.path.samestat(os.stat(namespaces.path(pid, "time")), os.stat("/proc/self/ns/time"))
    except FileNotFoundError:  # a kernel without time namespaces
        return False


def _root(task: Task) -> list[Step]:
    """Plan the root directory of a container that shares a mount namespace: setns(2) leads to that namespace's root."""
    if not task.shares_mounts:
        return []
    from tinybox.isolation import shared_root

    says = "Change to the container's root directory, which is not the root of its mount namespace"
    return [Step("root", says, "chroot(2)", shared_root.take_root, task.handles.namespace_fds[ROOT])]


def _be_root(kinds: list[str]) -> list[Step]:
    says = "Become root of the container's user namespace"
    return [Step("become-root", says, "user_namespaces(7)", idmap.become_root)] if "user" in kinds else []
