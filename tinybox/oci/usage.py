"""The verb events: print what a container uses and when it is out of memory, in runc's JSON, which containerd reads."""

from __future__ import annotations

import contextlib
import os
import select

from tinybox.errors import UsageError
from tinybox.isolation.cgroups import files, out_of_memory, stats
from tinybox.linux import quick_json as json
from tinybox.oci import groups, pausing, record
from tinybox.text_values import duration, is_whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tinybox.isolation.cgroups.group import Cgroup
    from tinybox.oci.command_line import CommandLine
    from tinybox.oci.record import Record

UNLIMITED = 2**64 - 1
LONGEST = 24 * 24 * 3600.0  # seconds: the longest wait of poll(2), whose milliseconds have 32 bits


def events(command: CommandLine) -> None:
    """Print what a container uses: once with --stats, else every --interval until its end, and each out-of-memory."""
    with record.open_unlocked(command.root(), command.arguments[0]) as entry:
        pausing.check_alive(entry)
        group = groups.of(entry)
        if "stats" in command.flags:
            print_event("stats", entry.id, usage(group))
            return
        follow(entry, group, seconds(command.value("interval", "5s")))


def follow(entry: Record, group: Cgroup, pause: float) -> None:
    """Print what a container uses every *pause* seconds until its end, and each time it is out of memory."""
    poll, struck = select.poll(), _never
    with contextlib.ExitStack() as stack:
        if group.directory("memory") and os.path.isdir(str(group.directory("memory"))):
            oom = stack.enter_context(out_of_memory.OomWatch(group))
            poll.register(oom.fileno(), oom.mask)
            struck = oom.struck
        reported = False
        while entry.status() in record.SIGNALLED:
            if poll.poll(pause * 1000) and struck():
                print_event("oom", entry.id, None)
                reported = True
            elif entry.status() in record.SIGNALLED:
                print_event("stats", entry.id, usage(group))
        if not reported and struck():  # it has ended the container: in version 2 the whole group is killed at once
            print_event("oom", entry.id, None)


def _never() -> bool:
    return False


def print_event(kind: str, container: str, data: dict[str, Any] | None) -> None:
    """Print one event, a line of JSON, at once."""
    event: dict[str, Any] = {"type": kind, "id": container}
    print(json.dumps(event if data is None else {**event, "data": data}), flush=True)


def seconds(text: str) -> float:
    """Return ``5s``, ``500ms`` or a bare number as seconds; UsageError if *text* is no time or too long for poll(2)."""
    found = (duration(f"{text}s" if is_whole(text) else text) or 0) / 1e9
    if not 0 < found <= LONGEST:
        raise UsageError(f"--interval {text}", "is no time", "5s, 500ms")
    return found


def usage(group: Cgroup) -> dict[str, Any]:
    """Return all counters of *group*: times in ns, sizes in bytes; a counter that does not exist is 0."""
    counted = {name: value or 0 for name, value in stats.stats(group).items()}
    memory = files.keyed(group.read("memory", "memory.stat"))
    entry = {"limit": counted["memory_limit"] or UNLIMITED, "usage": counted["memory"], "max": counted["memory_peak"]}
    parts = files.keyed(group.read("cgroup", "cpu.stat"))
    throttling = {
        "periods": counted["cpu_periods"],
        "throttledPeriods": counted["cpu_throttled"],
        "throttledTime": counted["cpu_throttled_time"],
    }
    cpu = {
        "total": counted["cpu_usage"],
        "kernel": parts.get("system_usec", 0) * stats.MICROSECOND,
        "user": parts.get("user_usec", 0) * stats.MICROSECOND,
    }
    return {
        "cpu": {"usage": cpu, "throttling": throttling},
        "memory": {
            "cache": memory.get("total_cache", memory.get("file", 0)),
            "usage": {**entry, "failcnt": counted["oom_kills"]},
            "swap": {"limit": 0, "usage": memory.get("swap", 0), "failcnt": 0},
            "raw": memory,
        },
        "pids": {"current": counted["pids"], "limit": counted["pids_limit"]},
        "blkio": {},
        "hugetlb": {},
        "network_interfaces": None,
    }
