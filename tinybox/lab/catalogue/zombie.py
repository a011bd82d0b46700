"""Zombies: the rest of a process that has ended, until its parent waits for it.

A process that has ended has no memory and no open files, but its pid and its exit status stay until its parent waits
for it. So a zombie takes a pid, and pids are limited. PID 1 becomes the parent of orphans. A PID 1 that does not wait,
such as an ordinary program in a box, collects zombies. An init waits for them.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tinybox.lab import inside, look
from tinybox.lab.course import Lab

if TYPE_CHECKING:
    from tinybox.lab.bench import Bench
    from tinybox.lab.box import Box

ORPHANS = 5


def orphan_some() -> None:
    """In the box: leave orphans to PID 1; they end after a line from the lab."""
    gate, opened = os.pipe()
    middle = os.fork()
    if middle == 0:
        for _ in range(ORPHANS):
            if os.fork() == 0:
                os.close(opened)
                os.read(gate, 1)
                os._exit(0)
        os._exit(0)
    os.waitpid(middle, 0)
    inside.send("orphaned")
    inside.receive_line()
    os.close(opened)
    os.read(0, 1)


def check(bench: Bench, *, feature: bool) -> None:
    """Leave orphans to a PID 1 that never waits, and measure what remains of them when they have ended."""
    with bench.box(orphan_some, init="none" if feature else "forward", pids_limit=100) as box:
        box.receive()
        orphans = [pid for pid in look.children(box.pid) if pid != box.program]
        before = bench.on_host("pids.current, all alive", pids_current(box), "pids.current of its control group")
        box.send_line("end")
        bench.until(lambda: set(map(look.state, orphans)) <= {"Z", "X"}, "the end of the orphans")
        bench.comes(lambda: set(map(look.state, orphans)) == {"X"}, 0.3 if feature else 10)
        states = [look.state(pid) for pid in orphans]
        bench.on_host("their states", " ".join(states), f"field 3 of /proc/{{{','.join(map(str, orphans))}}}/stat")
        zombies = [pid for pid in orphans if look.state(pid) == "Z"]
        after = bench.on_host("pids.current, all ended", pids_current(box), "pids.current of its control group")
        listed = set(box.container.cgroup.processes())
        bench.on_host("cgroup.procs", len(listed - set(zombies)), "cgroup.procs of its control group, without zombies")
        sizes = [look.status(pid, "VmRSS") for pid in zombies]
        bench.on_host("VmRSS of a zombie", sizes[0] if any(sizes) else "none", f"/proc/{orphans[0]}/status")
        seen = box.run("sh", "-c", "grep -l '^State:.Z' /proc/[0-9]*/status").output.split()
        bench.in_box("zombies", len(seen), "grep -l '^State:.Z' /proc/[0-9]*/status")
    bench.claim(f"{ORPHANS} orphans have ended, and PID 1 has not waited: {ORPHANS} zombies", len(zombies) == ORPHANS)
    bench.claim("both sides see them", len(seen) == len(zombies))
    bench.claim("a zombie has no memory", not any(sizes))
    bench.claim("but it still takes a pid", after == before)


def pids_current(box: Box) -> int:
    """Return the number of pids in the box's control group; see pids.current in cgroups(7)."""
    return int(box.container.cgroup.read("pids", "pids.current") or -1)


LAB = Lab(
    question="Five orphans end in a box whose PID 1 never waits. What is left of them: memory, a pid, nothing?",
    answer="A pid each, and an exit status; no memory. They stay until their parent waits, or ends. With tinybox's init"
    " as PID 1 they are gone at once.",
    control="an init that reaps (--init=forward): no zombie is left",
    check=check,
)
