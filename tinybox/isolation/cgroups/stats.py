"""What a container has used, read from its control group: the kernel counts anyway, one has only to look.

A figure that nobody counts on this host (no such controller, or version 1 without a group) is None, not 0.
"""

from __future__ import annotations

from tinybox.isolation.cgroups import files
from tinybox.isolation.cgroups.out_of_memory import memory_limit, oom_kills

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinybox.isolation.cgroups.group import Cgroup

    Stats = dict[str, int | None]

MICROSECOND = 1000  # in nanoseconds


def stats(group: Cgroup) -> Stats:
    """Return all that is counted of *group*, flat: times in nanoseconds, sizes in bytes; a limit of None is none."""
    return {**cpu(group), **memory(group), **pids(group), **io(group)}


def cpu(group: Cgroup) -> Stats:
    """Return the CPU time used, and how often and how long a quota held the group back; ``cpu.stat``, cgroups(7)."""
    counted = files.keyed(group.read("cgroup", "cpu.stat"))  # version 2 counts even without the controller
    usage = counted.get("usage_usec")
    used = _number(group.read("cpuacct", "cpuacct.usage")) if usage is None else usage * MICROSECOND
    throttle = files.keyed(group.read("cpu", "cpu.stat"))
    held = throttle.get("throttled_time")  # version 1, in nanoseconds
    if held is None and "throttled_usec" in throttle:
        held = throttle["throttled_usec"] * MICROSECOND
    return {
        "cpu_usage": used,
        "cpu_periods": throttle.get("nr_periods"),
        "cpu_throttled": throttle.get("nr_throttled"),
        "cpu_throttled_time": held,
    }


def memory(group: Cgroup) -> Stats:
    """Return the memory in use, its highest mark (version 2: Linux 5.19), its limit and the OOM killer's count."""
    v2 = group.hierarchies.version("memory") == 2
    return {
        "memory": _number(group.read("memory", "memory.current" if v2 else "memory.usage_in_bytes")),
        "memory_peak": _number(group.read("memory", "memory.peak" if v2 else "memory.max_usage_in_bytes")),
        "memory_limit": memory_limit(group),
        "oom_kills": oom_kills(group),
    }


def pids(group: Cgroup) -> Stats:
    """Return how many processes and threads there are and may be; ``pids.current`` and ``pids.max``, cgroups(7)."""
    return {"pids": _number(group.read("pids", "pids.current")), "pids_limit": _number(group.read("pids", "pids.max"))}


def io(group: Cgroup) -> Stats:
    """Return the bytes read from and written to block devices; ``io.stat``, or ``blkio.throttle`` of version 1."""
    if group.hierarchies.version("io") == 2:
        text, read, written = group.read("io", "io.stat"), "rbytes=", "wbytes="
    else:
        text, read, written = group.read("io", "blkio.throttle.io_service_bytes_recursive"), "Read ", "Write "
    if text is None:
        return {"io_read": None, "io_written": None}
    return {"io_read": _sum(text, read), "io_written": _sum(text, written)}


def _number(text: str | None) -> int | None:
    """Return a single number; None where it is missing or ``max``."""
    return int(text) if text is not None and text.strip().isdigit() else None


def _sum(text: str, mark: str) -> int:
    """Add up the numbers that follow *mark*, of which each line has at most one."""
    return sum(int(line.partition(mark)[2].split()[0]) for line in text.splitlines() if mark in line)
