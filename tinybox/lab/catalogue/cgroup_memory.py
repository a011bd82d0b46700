"""The memory limit of a control group, and what happens at it.

The kernel counts every page that the processes of a group touch. At the limit it first takes back what it can; when
there is nothing to take, the OOM killer ends a process of the group. Its end is SIGKILL: status 137, without a word.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinybox.isolation.cgroups.out_of_memory import memory_limit, oom_kills
from tinybox.lab.course import Lab

if TYPE_CHECKING:
    from tinybox.lab.bench import Bench

LIMIT, WANTED = 32 << 20, 160 << 20  # bytes
FILES = {1: ("memory.limit_in_bytes", "memory.oom_control"), 2: ("memory.max", "memory.events")}


def fill(size: int) -> str:
    """In the box: write to so many bytes of memory, and tell if we live to do so."""
    held = bytearray(size)
    for at in range(0, size, 4096):
        held[at] = 1
    return "survived"


def check(bench: Bench, *, feature: bool) -> None:
    """Let a program write to more memory than its box may have."""
    with bench.box(fill, WANTED, **({"memory": str(LIMIT)} if feature else {"pids_limit": "100"})) as box:
        group = box.container.cgroup
        status, said = box.wait(), box.rest().strip()
        version = group.hierarchies.version("memory")
        limit, events = FILES.get(version, FILES[2])
        bench.on_host("limit", memory_limit(group) or "none", f"{limit} of the group {group.name}")
        kills = oom_kills(group) if feature else 0
        # At a group of version 1 we hear of it before the kernel has chosen, and may be faster than its count.
        told = box.ending is not None and box.ending.out_of_memory
        bench.on_host("oom_kill", kills, events)
        bench.on_host("told to tinybox", told, "the event of that file")
    bench.saw("the program wrote to", f"{WANTED} bytes", "a loop, page by page")
    bench.saw("exit status", status, "echo $? after tinybox run")
    bench.in_box("last words", said or "none", "its stdout")
    bench.claim("the program was ended with status 137", status == 137)
    bench.claim("it had no last words", said == "")
    bench.claim("the kernel told of it, and counted a kill", told and (kills >= 1 or version == 1))


LAB = Lab(
    question=f"A program in a box with {LIMIT >> 20} MiB writes to {WANTED >> 20} MiB. Does malloc fail, does it swap,"
    " or what?",
    answer="It is killed by the OOM killer: status 137, oom_kill 1. No call has failed; the memory was promised, and"
    " then it was not there.",
    control="no limit: it survives",
    check=check,
)
