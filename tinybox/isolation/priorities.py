"""What of the machine's time a container's program gets: its scheduling policy, its turn at the disks, its processors.

Children inherit all three, and execve(2) keeps them: so it is enough to set them on the first process.
"""

from __future__ import annotations

import os

from tinybox.errors import HostError, UsageError
from tinybox.linux import scheduling

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


def scheduler(wanted: Mapping[str, Any]) -> tuple[int, int, int, int, tuple[int, int, int]]:
    """Return OCI's ``process.scheduler`` as the arguments of sched_setattr(2); UsageError names the field."""
    policy = scheduling.POLICIES.get(wanted["policy"])
    if policy is None:
        known = ", ".join(scheduling.POLICIES)
        raise UsageError("process.scheduler.policy", f"the kernel has no {wanted['policy']}", known)
    flags = 0
    for number, word in enumerate(wanted.get("flags", [])):
        if word not in scheduling.FLAGS:
            raise UsageError(f"process.scheduler.flags[{number}]", f"{word!r} is unknown", ", ".join(scheduling.FLAGS))
        flags |= scheduling.FLAGS[word]
    times = (wanted.get("runtime", 0), wanted.get("deadline", 0), wanted.get("period", 0))
    return policy, flags, wanted.get("nice", 0), wanted.get("priority", 0), times


def set_scheduler(policy: int, flags: int, nice: int, priority: int, times: tuple[int, int, int]) -> None:
    """Schedule this process so; HostError names the field where the kernel refuses; see sched_setattr(2)."""
    try:
        scheduling.sched_setattr(policy, flags, nice, priority, times)
    except PermissionError as error:
        cure = "it needs CAP_SYS_NICE, and under cgroup v1 a cpu.rt_runtime_us in the group"
        raise HostError("process.scheduler", "not permitted", cure) from error
    except OSError as error:
        raise HostError("process.scheduler", f"the kernel refuses it: {error.strerror}", "see sched(7)") from error


def io_priority(wanted: Mapping[str, Any]) -> tuple[int, int]:
    """Return OCI's ``process.ioPriority`` as (class, level); UsageError names the field; see ioprio_set(2)."""
    if not 0 <= wanted["priority"] <= 7:
        raise UsageError("process.ioPriority.priority", f"{wanted['priority']} is not from 0 to 7")
    return scheduling.IOPRIO_CLASSES[wanted["class"]], wanted["priority"]


def set_io_priority(kind: int, level: int) -> None:
    """Give this process its class and level of I/O; HostError where the kernel refuses; see ioprio_set(2)."""
    try:
        scheduling.ioprio_set(kind, level)
    except OSError as error:
        cure = "IOPRIO_CLASS_RT needs CAP_SYS_ADMIN or CAP_SYS_NICE"
        raise HostError("process.ioPriority", f"the kernel refuses it: {error.strerror}", cure) from error


def processors(text: str, field: str) -> list[int]:
    """Return the processors of a list such as ``0-3,7``; UsageError names the *field*; see cpuset(7)."""
    found: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()) or int(last or first) < int(first):
            raise UsageError(field, f"{text!r} is no list of processors", "such as 0-3,7")
        found += range(int(first), int(last or first) + 1)
    return found


def set_affinity(numbers: list[int], field: str) -> None:
    """Run this process on the processors *numbers* only; HostError names the *field*; see sched_setaffinity(2)."""
    try:
        os.sched_setaffinity(0, numbers)
    except OSError as error:
        raise HostError(field, f"none of the processors {numbers} can be had: {error.strerror}") from error
