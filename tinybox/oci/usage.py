"""events: what a container uses, in the words that runc gave to it and containerd reads."""

from __future__ import annotations

import contextlib
import json
import os
import select

from tinybox.errors import UsageError
from tinybox.isolation.cgroups import files, out_of_memory, stats
from tinybox.oci import ending, limits, record
from tinybox.text_values import duration, is_whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tinybox.isolation.cgroups.group import Cgroup
    from tinybox.oci.record import Record
    from tinybox.oci.words import Words

UNLIMITED = 2**64 - 1
LONGEST = 24 * 24 * 3600.0  # seconds: what poll(2) can wait, in milliseconds of 32 bits


def events(words: Words) -> None:
    """Print what a container uses: once with --stats, else every --interval until its end, and each out-of-memory."""
    with record.look(words.root(), words.arguments[0]) as entry:
        limits.alive(entry)
        group = ending.group_of(entry)
        if "stats" in words.flags:
            tell("stats", entry.id, usage(group))
            return
        follow(entry, group, seconds(words.value("interval", "5s")))


def follow(entry: Record, group: Cgroup, pause: float) -> None:
    """Print what a container uses every *pause* seconds until its end, and each time it is out of memory."""
    poll, struck = select.poll(), _never
    with contextlib.ExitStack() as stack:
        if group.directory("memory") and os.path.isdir(str(group.directory("memory"))):
            oom = stack.enter_context(out_of_memory.OomWatch(group))
            poll.register(oom.fileno(), oom.mask)
            struck = oom.struck
        told = False
        while entry.status() in ending.SIGNALLED:
            if poll.poll(pause * 1000) and struck():
                tell("oom", entry.id, None)
                told = True
            elif entry.status() in ending.SIGNALLED:
                tell("stats", entry.id, usage(group))
        if not told and struck():  # it was the end of the container: in version 2 the whole group goes at once
            tell("oom", entry.id, None)


def _never() -> bool:
    return False


def tell(kind: str, container: str, data: dict[str, Any] | None) -> None:
    """Print one event, a line of JSON, at once."""
    event: dict[str, Any] = {"type": kind, "id": container}
    print(json.dumps(event if data is None else {**event, "data": data}), flush=True)


def seconds(text: str) -> float:
    """Return ``5s``, ``500ms`` or ``2m`` as seconds, which a bare number is as well; else UsageError."""
    found = (duration(f"{text}s" if is_whole(text) else text) or 0) / 1e9
    if not 0 < found <= LONGEST:
        raise UsageError(f"--interval {text}", "is no time", "5s, 500ms")
    return found


def usage(group: Cgroup) -> dict[str, Any]:
    """Return all that is counted of *group*: times in ns, sizes in bytes; what nobody counts is 0."""
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
