"""The plan of an exec: how one more process enters a running container, beside its first process.

The child joins every namespace of the container's first process, and gets its capabilities, its seccomp filter and its
control groups. A pidfd identifies that first process, so no later process with the same pid can be meant. For a pid
namespace, setns(2) has an effect only on later children. So the child joins all namespaces, gives up all rights that
the program will not have, and makes a second process, which is in the box's pid namespace and becomes the program.
"""

from __future__ import annotations

import os

from tinybox.container.planning import cgroups, joining, labels, program, streams
from tinybox.container.process import child, spawn
from tinybox.container.process.plan import Plan, Step
from tinybox.isolation import entered_root, idmap, namespaces
from tinybox.linux import proc, process
from tinybox.linux.signals import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinybox.container.planning.task import Task

TARGET = "target"  # the key of the pidfd in Handles.namespace_fds
ROOT = "root"  # the key of the root directory there, if the container has no mount namespace of its own


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
        *(() if joins else cgroups.join_group(task)),
        *_processors(task, "final"),
        *program.leave_keyring(task),
        Step("join", f"Join the container's namespaces: {', '.join(kinds)}", "setns(2)", join, pidfd, kinds),
        *_root(task),
        *_be_root(kinds),
        *program.join_keyring(task, new=False),
        *streams.steps(task.process, task.handles, b"/", console=False),
        *program.limits(task.process),
        *program.scheduling(task),
        Step("directory", f"Go to {directory}", "chdir(2)", entered_root.enter_existing_directory, directory),
        *program.rights(task, mode, joins=joins),
        *program.begin(task, mode, joins=joins, dies_with_parent=dies_with_parent),
    ]
    if joins:  # the second process joins them: in its box, pids.max could refuse the fork(2) that makes it
        place = [step.name for step in inside].index("go-inside") + 1
        inside[place:place] = cgroups.join_group(task)
    return Plan(_outside(task, inside, joins), inside, task.warnings)


def _outside(task: Task, inside: list[Step], joins: bool) -> list[Step]:
    """Plan the parent's side, without the steps of the child, *inside*.

    If the container shares the host's pid namespace (not *joins*), the first child becomes the program. Else it makes a
    second one, and pids.max of the box must not refuse that fork(2). So where version 2 limits the number of processes,
    the parent moves the second child into that group. Anywhere else clone3(2) makes the first child there.
    """
    handles, pidfd = task.handles, task.handles.namespace_fds[TARGET]
    opened, entered, adopted = cgroups.open_group(task, pidfd), list[Step](), joining.adopt(task) if joins else []
    if joins and task.cgroup.hierarchies.version("pids") == 2:
        says = "Open the container's control groups of version 1, if it has any"
        opened = Step("open-cgroup", says, "open(2)", spawn.open_tasks, task.cgroup, handles)
        says = "Put the child into the container's control group"
        entered = [Step("enter-cgroup", says, "cgroups(7)", spawn.enter_cgroup, task.cgroup, handles, pidfd)]
    clone = Step("clone", "Make the child", "clone3(2)", spawn.spawn, handles, 0, inside)
    clone.undone_by("SIGKILL for the child", lambda: spawn.kill(handles))
    release = Step("release", "Let the child do its own steps", "pipe(7)", spawn.release, handles)
    _, classified = cgroups.class_of_service(task)
    attributes = [*entered, *classified, *cgroups.oom_score(task)]
    return [
        *streams.pipes(task),
        *program.trampoline(task),
        opened,
        clone,
        *program.reset_child(task),
        *([release, adopted[0], *attributes, adopted[1]] if joins else [*attributes, release]),
        Step("await", "Wait until the child is ready", "pipe(7)", spawn.await_child, handles),
        *streams.give(task),
    ]


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
        its = proc.of_living(os.stat, namespaces.path(pid, "time"))
        return not os.path.samestat(its, os.stat("/proc/self/ns/time"))
    except (FileNotFoundError, ProcessLookupError):  # or the kernel has no time namespaces
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
