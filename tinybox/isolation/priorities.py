"""CPU scheduling, I/O priority and processors of a program: OCI's scheduler, ioPriority and execCPUAffinity.

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


def scheduler(field: Mapping[str, Any]) -> tuple[int, int, int, int, tuple[int, int, int]]:
    """Return OCI's *field* ``process.scheduler`` as arguments of sched_setattr(2); UsageError: a value is wrong."""
    policy = scheduling.POLICIES.get(field["policy"])
    if policy is None:
        known = ", ".join(scheduling.POLICIES)
        raise UsageError("process.scheduler.policy", f"the kernel has no {field['policy']}", known)
    flags = 0
    for number, name in enumerate(field.get("flags", [])):
        if name not in scheduling.FLAGS:
            raise UsageError(f"process.scheduler.flags[{number}]", f"{name!r} is unknown", ", ".join(scheduling.FLAGS))
        flags |= scheduling.FLAGS[name]
    times = (field.get("runtime", 0), field.get("deadline", 0), field.get("period", 0))
    return policy, flags, field.get("nice", 0), field.get("priority", 0), times


def set_scheduler(policy: int, flags: int, nice: int, priority: int, times: tuple[int, int, int]) -> None:
    """Set the scheduling of this process; HostError: the kernel refuses it; see sched_setattr(2).

    *times*: runtime, deadline and period in nanoseconds.
    """
    try:
        scheduling.sched_setattr(policy, flags, nice, priority, times)
    except PermissionError as error:
        cure = "it needs CAP_SYS_NICE, and under cgroup v1 a cpu.rt_runtime_us in the group"
        raise HostError("process.scheduler", "not permitted", cure) from error
    except OSError as error:
        raise HostError("process.scheduler", f"the kernel refuses it: {error.strerror}", "see sched(7)") from error


def io_priority(field: Mapping[str, Any]) -> tuple[int, int]:
    """Return OCI's *field* ``process.ioPriority`` as (class, level); UsageError: a wrong level; see ioprio_set(2)."""
    level = field.get("priority", 0)
    if not 0 <= level <= 7:
        raise UsageError("process.ioPriority.priority", f"{level} is not from 0 to 7")
    return scheduling.IOPRIO_CLASSES[field["class"]], level


def set_io_priority(kind: int, level: int) -> None:
    """Set this process's I/O class and level; HostError: the kernel refuses them; see ioprio_set(2)."""
    try:
        scheduling.ioprio_set(kind, level)
    except OSError as error:
        cure = "IOPRIO_CLASS_RT needs CAP_SYS_ADMIN or CAP_SYS_NICE"
        raise HostError("process.ioPriority", f"the kernel refuses it: {error.strerror}", cure) from error


def processors(text: str, field: str) -> list[int]:
    """Return the numbers in a list such as ``0-3,7``; UsageError, with the *field*: it is no such list; cpuset(7)."""
    found: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()) or int(last or first) < int(first):
            raise UsageError(field, f"{text!r} is no list of processors", "such as 0-3,7")
        found += range(int(first), int(last or first) + 1)
    return found


def set_affinity(numbers: list[int], field: str) -> None:
    """Run this process only on the processors *numbers*; HostError, with *field*: none exists; sched_setaffinity(2)."""
    try:
        os.sched_setaffinity(0, numbers)
    except OSError as error:
        raise HostError(field, f"none of the processors {numbers} can be used: {error.strerror}") from error
