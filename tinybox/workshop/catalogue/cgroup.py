"""Limits: the control group.

Namespaces decide what a process sees, control groups how much it gets. A control group is a directory: mkdir(2) makes
it, and the kernel fills it with files. A process joins by a write into cgroup.procs, and its children are born in the
same group. A limit is a number in a file. No other call is needed: all of it can be done with mkdir and echo.

What happens at the limit depends on the resource. The twenty-first process is not made: fork(2) fails with EAGAIN.
Memory cannot be refused so, because it is used long after it was asked for: the kernel kills a process of the group.
A group is counted as a whole, so a program cannot get around its limits by making children.

There are two versions. In version 2 one tree under /sys/fs/cgroup has all controllers; in version 1 each controller has
a tree of its own, such as /sys/fs/cgroup/pids. A few files have other names: memory.max is memory.limit_in_bytes in
version 1. The box has to be in its group before the program starts, so its first process waits at a pipe. The network
of level 8 is left out here.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tinybox.errors import HostError
from tinybox.isolation.cgroups.files import groups_below, keyed
from tinybox.workshop.catalogue.fork_exec import ends
from tinybox.workshop.catalogue.mounts import host_mounts, nothing_leaks
from tinybox.workshop.catalogue.overlay import BOX, OTHER
from tinybox.workshop.catalogue.pid_1 import numbers
from tinybox.workshop.catalogue.pivot_root import root_of_namespace
from tinybox.workshop.levels import Level
from tinybox.workshop.spare_groups import CONTROLLERS, TREE, available
from tinybox.workshop.trial import ROOTFS, Attempt, mounts, nothing_runs, read

if TYPE_CHECKING:
    from tinybox.workshop.trial import Trial

LIMITS = {"pids": 20, "memory": 32 << 20}
FILES = {"pids": ("pids.max", "pids.max"), "memory": ("memory.limit_in_bytes", "memory.max")}  # versions 1 and 2
# A loop that makes processes until fork(2) fails, and a string that doubles up to 64 MiB
FORKS = "while :; do sleep 1000 > /dev/null 2>&1 & done 2> /dev/null"
EATS = "awk 'BEGIN { s = 1; while (length(s) < 67108864) s = s s }' > /dev/null 2>&1; echo $?"


def check(trial: Trial) -> None:
    """Read the groups of the box and of a second one, then let the box reach each of its limits."""
    if len(available()) < len(CONTROLLERS):
        cause = f"this user has no control group with the controllers {' and '.join(CONTROLLERS)}"
        raise HostError("level cgroup", cause, "sudo tinybox workshop check 9; level 10 needs no control group")
    before, made = host_mounts(), groups()
    with Attempt([ROOTFS, BOX, "sh"]) as attempt, Attempt([ROOTFS, OTHER, "sh"]) as other:
        attempt.ask("echo ready")
        program = attempt.program()
        root_of_namespace(trial, program)
        init = numbers(trial, program)
        other.ask("echo ready")
        second = other.program()
        for controller in CONTROLLERS:
            in_group(trial, controller, {"the program": program, "PID 1 of the box": init}, attempt.pid)
            alone(trial, controller, program, second)
            limited(trial, controller, program)
        stops_memory(trial, attempt, program)
        stops_forks(trial, attempt, program)
        attempt.end()  # not killed: the student's process has to remove its groups
        other.end()
    left = ", ".join(sorted(groups() - made))
    trial.fact(
        not left, f"no group is left (the directories in {TREE})", f"a group is left: {left}; see rmdir(2), after wait"
    )
    ends(trial, [ROOTFS, OTHER])
    nothing_leaks(trial, before, "after the end ")
    nothing_runs(trial)


def groups() -> set[str]:
    """Return the directories of all control groups that the spare host sees; see cgroups(7)."""
    points = [one.point for one in mounts(1) if one.type in ("cgroup", "cgroup2") and one.point.startswith(TREE)]
    return {os.readlink(f"/proc/self/fd/{fd}") for point in points for fd, _ in groups_below(point)}


def group_of(pid: int, controller: str) -> str:
    """Return the group of process *pid* in the hierarchy of *controller*, such as ``/box``; see /proc/PID/cgroup."""
    lines = [line.split(":", 2) for line in read(pid, "cgroup").splitlines()]
    own = [path for _, names, path in lines if controller in names.split(",")]
    return (own or [path for number, _, path in lines if number == "0"])[0]


def directory_of(pid: int, controller: str) -> str:
    """Return the directory of that group."""
    own = f"{TREE}/{controller}"
    return f"{own if os.path.isdir(own) else TREE}{group_of(pid, controller)}"


def in_group(trial: Trial, controller: str, processes: dict[str, int], own: int) -> None:
    """Require that the *processes* are in one group, and the student's process is in the group of the host."""
    host = group_of(1, controller)
    for name, pid in processes.items():
        found = group_of(pid, controller)
        trial.fact(
            found != host,
            f"{name} is in the group {found} of the controller {controller} (/proc/{pid}/cgroup)",
            f"/proc/{pid}/cgroup: {name} is in the group {found} of the controller {controller}, as the host is: write"
            " the number of the box's first process into cgroup.procs, before the program starts",
        )
    trial.fact(
        group_of(own, controller) == host,
        f"your own process is in the host's group {host} of {controller} (/proc/{own}/cgroup)",
        f"/proc/{own}/cgroup: your own process is in the group {group_of(own, controller)} of {controller}, too: it"
        " would count as the box's",
    )


def alone(trial: Trial, controller: str, program: int, second: int) -> None:
    """Require that two boxes have two groups."""
    mine, other = group_of(program, controller), group_of(second, controller)
    trial.fact(
        mine != other,
        f"a second box is in another group of {controller}: {other}",
        f"two boxes are in the same group {mine} of {controller}, and share its limit: name it after the box",
    )


def limited(trial: Trial, controller: str, program: int) -> None:
    """Require that the file of the limit has its number."""
    directory, wanted = directory_of(program, controller), LIMITS[controller]
    names = [name for name in FILES[controller] if os.path.exists(f"{directory}/{name}")]
    path = f"{directory}/{names[0]}"
    with open(path, encoding="ascii") as file:
        found = file.read().strip()
    trial.fact(found == str(wanted), f"{path} has {found}", f"{path} has {found}, expected {wanted}")


def events(program: int, controller: str, *names: str) -> dict[str, int]:
    """Return the counters of the first file of these *names* that the program's group has."""
    paths = [f"{directory_of(program, controller)}/{name}" for name in names]
    with open(next(path for path in paths if os.path.exists(path)), encoding="ascii") as file:
        return keyed(file.read())


def stops_memory(trial: Trial, attempt: Attempt, program: int) -> None:
    """Let a program in the box use 64 MiB; require that the kernel kills it, and has counted that in the group."""
    status = attempt.ask(EATS)
    killed = events(program, "memory", "memory.events", "memory.oom_control").get("oom_kill", 0)
    trial.fact(
        status == "137" and killed,
        f"a program that uses 64 MiB is killed: status {status}, oom_kill {killed} in the group",
        f"a program in the box can use 64 MiB: status {status}, oom_kill {killed} in {directory_of(program, 'memory')}",
    )


def stops_forks(trial: Trial, attempt: Attempt, program: int) -> None:
    """Let the box make processes until fork(2) fails; require that the group has refused one, at its limit."""
    attempt.ask(FORKS)
    directory, refused = directory_of(program, "pids"), events(program, "pids", "pids.events").get("max", 0)
    with open(f"{directory}/pids.current", encoding="ascii") as file:
        now = int(file.read())
    trial.fact(
        refused and now <= LIMITS["pids"],
        f"a loop of fork(2) is stopped: {now} processes, {refused} refused ({directory}/pids.events)",
        f"a loop of fork(2) is not stopped: {now} processes, {refused} refused ({directory}/pids.events)",
    )


LEVEL = Level(
    usage="ROOT BOX PROGRAM [ARGUMENT...]",
    pages="cgroups(7), cgroup_namespaces(7), mkdir(2), rmdir(2), fork(2)",
    hints=(
        "set(groups.values()) has each directory once: two of them on version 1, one on version 2.",
        (
            "By hand, for version 2: mkdir /sys/fs/cgroup/mine; echo 20 > /sys/fs/cgroup/mine/pids.max;"
            " echo $$ > /sys/fs/cgroup/mine/cgroup.procs; cat /proc/self/cgroup."
        ),
        "EBUSY of rmdir(2) means that a process is in the group still. A file in it cannot be removed by itself.",
    ),
    check=check,
)
