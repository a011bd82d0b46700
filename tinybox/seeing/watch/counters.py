"""The counters of a box: those of its control group, and the bytes of its network devices, seen from both sides."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tinybox.container.network import addresses
from tinybox.container.views import namespaces, units
from tinybox.isolation.cgroups import stats
from tinybox.seeing.watch.rows import Panel, Row

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tinybox.container.views.listing import Listed
    from tinybox.isolation.cgroups.group import Cgroup

    Counts = dict[str, tuple[int, int]]

_MOST = 1 << 60  # version 1 has no word for "no limit", but a larger number than this
_PAGE = os.sysconf("SC_PAGE_SIZE")


def _seconds(nanoseconds: int) -> str:
    return f"{nanoseconds / 1e9:.3f} s"


# key of stats(): controller, its file in version 2 and 1, the words, how a value is written, whether it only grows
_COUNTERS: dict[str, tuple[str, str, str, str, Callable[[int], str], bool]] = {
    "cpu_usage": ("cpuacct", "cpu.stat", "cpuacct.usage", "CPU time", _seconds, True),
    "cpu_throttled": ("cpu", "cpu.stat", "cpu.stat", "times throttled", str, True),
    "memory": ("memory", "memory.current", "memory.usage_in_bytes", "memory", units.binary_size, False),
    "memory_peak": ("memory", "memory.peak", "memory.max_usage_in_bytes", "memory, maximum", units.binary_size, False),
    "oom_kills": ("memory", "memory.events", "memory.oom_control", "killed: out of memory", str, True),
    "pids": ("pids", "pids.current", "pids.current", "processes and threads", str, False),
    "io_read": ("io", "io.stat", "blkio.throttle...", "read from disk", units.decimal_size, True),
    "io_written": ("io", "io.stat", "blkio.throttle...", "written to disk", units.decimal_size, True),
}
_LIMITS = {"memory": "memory_limit", "pids": "pids_limit"}


def of_group(group: Cgroup, pids: Sequence[int]) -> Panel:
    """Return the counters of the control group with their files on the host.

    If no controller counts the memory and the processes (version 1, without a limit), they are added up over *pids*.
    """
    counted = stats.stats(group)
    rows = []
    for key, (controller, two, one, words, written, rising) in _COUNTERS.items():
        value = counted.get(key)
        if value is None:
            continue
        is_two = group.hierarchies.version("cpu" if controller == "cpuacct" else controller) == 2
        if key == "cpu_usage" and group.read("cgroup", "cpu.stat"):
            is_two = True  # version 2 counts the time of each group, even without the controller
        limit = counted.get(_LIMITS.get(key, ""))
        most = f" of {written(limit)}" if limit is not None and limit < _MOST else ""
        rows.append(Row(key, two if is_two else one, f"{words} {written(value)}{most}", value, rising))
    if counted.get("memory") is None:
        resident = sum(map(_resident, pids))
        rows.append(Row("memory", "/proc/PID/statm, all", f"memory {units.binary_size(resident)}", resident))
    if counted.get("pids") is None:
        rows.append(Row("pids", "cgroup.procs", f"processes {len(pids)}", len(pids)))
    parent, _, name = group.name.rpartition("/")
    return Panel("counters", f"control group {parent}/{name[:12]}", "counter of the box", rows)


def _resident(pid: int) -> int:
    """Return the resident memory of a process in bytes; shared pages count in each process; see proc_pid_statm(5)."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            return int(file.read().split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0


def of_network(listed: Listed, *, is_own: bool) -> Panel:
    """Return the bytes of each device of the box, and of its veth on the host; see proc_pid_net(5) and veth(4).

    What the box receives, the host's end sends. A box in the host's network namespace (not *is_own*) has no devices.
    """
    if not is_own:
        row = Row("host", "the host's network namespace", "shares the network of the host")
        return Panel("network", "device on the host", "device in the box", [row])
    pairs = {end.interface: end.link for end in addresses.read(listed.paths.run_directory(listed.id))}
    inside, outside = devices(str(listed.state["pid"])), devices("self")
    rows = []
    for device, (received, sent) in inside.items():
        link = pairs.get(device, "")
        size = units.decimal_size
        there = f"{link}  in {size(outside[link][0])} out {size(outside[link][1])}" if link in outside else link or "-"
        words = f"{device}  in {size(received)} out {size(sent)}"
        rows.append(Row(device, there, words, received + sent, rising=True))
    return Panel("network", "its other end on the host", "device in the box", rows)


def devices(process: str) -> Counts:
    """Return the bytes that each network device of *process* has received and sent; *process* is a pid or ``self``."""
    found: Counts = {}
    with open(f"/proc/{process}/net/dev", encoding="utf-8", errors="replace") as file:
        for line in file:
            device, colon, words = line.partition(":")
            counts = words.split()
            if colon and len(counts) > 8:
                found[device.strip()] = int(counts[0]), int(counts[8])
    return found


def has_own_network(pid: int) -> bool:
    """Return whether the process *pid* is in another network namespace than this one; see network_namespaces(7)."""
    return namespaces.inode("self", "net") != namespaces.inode(str(pid), "net")
