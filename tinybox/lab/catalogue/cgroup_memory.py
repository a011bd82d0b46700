"""The memory limit of a control group, and what happens at it.

The kernel counts every page that the processes of a group touch. At the limit it first reclaims memory; when it can
reclaim no more, the OOM killer kills a process of the group. It does so by SIGKILL: the status is 137, and the program
cannot print a message.
"""

from __future__ import annotations

import mmap
from typing import TYPE_CHECKING

from tinybox.isolation.cgroups.out_of_memory import memory_limit, oom_kills
from tinybox.lab import inside
from tinybox.lab.course import Lab

if TYPE_CHECKING:
    from tinybox.lab.bench import Bench

LIMIT, NEEDED = 32 << 20, 160 << 20  # bytes
FILES = {1: ("memory.limit_in_bytes", "memory.oom_control"), 2: ("memory.max", "memory.events")}


def fill(size: int) -> str:
    """In the box: map *size* bytes of memory, then write to all; return "survived" if the program lives to the end."""
    held = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    inside.send("promised")
    for at in range(0, size, 4096):
        held[at] = 1
    return "survived"


def check(bench: Bench, *, feature: bool) -> None:
    """Let a program write to more memory than its box may have."""
    with bench.box(fill, NEEDED, **({"memory": str(LIMIT)} if feature else {"pids_limit": "100"})) as box:
        group = box.container.cgroup
        promised = box.receive()
        status, printed = box.wait(), box.read_all().strip()
        version = group.hierarchies.version("memory")
        limit, events = FILES.get(version, FILES[2])
        bench.on_host("limit", memory_limit(group) or "none", f"{limit} of the group {group.name}")
        kills = oom_kills(group) if feature else 0
        # In a group of version 1 the event comes before the kernel chooses a process, so the count may still be 0.
        notified = box.ending is not None and box.ending.out_of_memory
        bench.on_host("oom_kill", kills, events)
        bench.on_host("tinybox was notified", notified, "the event of that file")
    bench.saw("the program was to write to", f"{NEEDED} bytes", "a loop, page by page")
    bench.in_box(f"mmap(2) of {NEEDED} bytes", promised, "a line on its stdout, before it wrote to them")
    bench.saw("exit status", status, "echo $? after tinybox run")
    bench.in_box("printed then", printed or "nothing", "its stdout")
    bench.claim("the program was ended with status 137", status == 137)
    bench.claim("the call for the memory had not failed", promised == "promised")
    bench.claim("it could not print a message", printed == "")
    bench.claim("the kernel sent an event, and counted a kill", notified and (kills >= 1 or version == 1))


LAB = Lab(
    question=f"A program in a box with {LIMIT >> 20} MiB writes to {NEEDED >> 20} MiB. Does malloc fail, does it swap,"
    " or does something else happen?",
    answer="The OOM killer kills it: status 137, oom_kill 1. mmap(2) had not failed: the kernel had promised the"
    " memory, and could not provide it.",
    control="no limit: it survives",
    check=check,
)
