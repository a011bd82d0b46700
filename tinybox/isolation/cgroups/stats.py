"""Usage counters of a container (`tinybox stats`): CPU time, memory, pids and I/O, read from its control group.

A counter that this host does not have (no such controller, or no group in version 1) is None, not 0.
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
    """Return all counters and limits of *group* in one dict: times in nanoseconds, sizes in bytes; cgroups(7).

    A limit of None means that there is no limit.
    """
    return {**cpu(group), **memory(group), **pids(group), **io(group)}


def cpu(group: Cgroup) -> Stats:
    """Return the CPU time, and how often and how long a quota stopped the group; see ``cpu.stat`` in cgroups(7)."""
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
    """Return the memory in use, its maximum so far (version 2: Linux 5.19), its limit and the number of OOM kills."""
    v2 = group.hierarchies.version("memory") == 2
    return {
        "memory": _number(group.read("memory", "memory.current" if v2 else "memory.usage_in_bytes")),
        "memory_peak": _number(group.read("memory", "memory.peak" if v2 else "memory.max_usage_in_bytes")),
        "memory_limit": memory_limit(group),
        "oom_kills": oom_kills(group),
    }


def pids(group: Cgroup) -> Stats:
    """Return the number of processes and threads, and its limit; ``pids.current`` and ``pids.max``, cgroups(7)."""
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
    """Return a single number; None if it is missing or ``max``."""
    return int(text) if text is not None and text.strip().isdigit() else None


def _sum(text: str, mark: str) -> int:
    """Return the sum of the numbers after *mark*; a line has at most one."""
    return sum(int(line.partition(mark)[2].split()[0]) for line in text.splitlines() if mark in line)
