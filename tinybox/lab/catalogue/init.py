"""What an init is for: passing signals on, and burying orphans.

A program that becomes PID 1 inherits two duties it knows nothing of. SIGTERM, for which it has no handler, does nothing
to it, so that stopping takes the whole grace period and ends with SIGKILL. And orphans that end become its children, as
zombies, for it never waits. A small init in front of it does both, and passes the program's status on.
"""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING, NamedTuple

from tinybox.lab import inside, look
from tinybox.lab.course import Lab

if TYPE_CHECKING:
    from tinybox.lab.bench import Bench

BURIAL = 0.5  # seconds that an init may take to bury an orphan; one that never does it takes longer
GRACE = 1.0  # seconds between SIGTERM and SIGKILL; docker's default is 10
TERMINATED, KILLED = 128 + signal.SIGTERM, 128 + signal.SIGKILL


class Stop(NamedTuple):
    """What it took to stop a box: whether it ended within the grace period, after how long, and with which status."""

    in_time: bool
    seconds: float
    status: int
    zombies: int


def orphan_and_stay() -> None:
    """In the box: make a grandchild whose parent ends first, tell when it has ended itself, and stay; see fork(2)."""
    reading, writing = os.pipe()
    if os.fork() == 0:
        if os.fork() == 0:
            while os.getppid() not in (1, 0):
                os.sched_yield()
        os._exit(0)
    os.wait()
    os.close(writing)
    os.read(reading, 1)  # its end: the orphan, too, has closed the pipe
    inside.tell("orphaned")
    while True:
        signal.pause()


def stop(bench: Bench, init: str) -> Stop:
    """Run the program under this kind of init and stop it, as `tinybox stop -t 1` does."""
    with bench.box(orphan_and_stay, init=init) as box:
        box.hear()
        bench.comes(lambda: set(look.children(box.pid)) <= {box.program}, BURIAL)
        left = zombies(box.pid)
        began = time.monotonic()
        os.kill(box.pid, signal.SIGTERM)
        in_time = bool(bench.comes(lambda: look.state(box.pid) in "ZX", GRACE))
        if not in_time:
            os.kill(box.pid, signal.SIGKILL)
        status = box.wait()
        return Stop(in_time, time.monotonic() - began, status, left)


def zombies(pid: int) -> int:
    """Count the children of a process that have ended, and for which nobody has waited."""
    return sum(look.state(child) == "Z" for child in look.children(pid))


def check(bench: Bench, *, feature: bool) -> None:
    """Stop the same program under an init, and as PID 1 itself."""
    kinds = ("forward" if feature else "none", "none")
    forward, naive = (stop(bench, kind) for kind in kinds)
    for name, one in (("with an init", forward), ("as PID 1", naive)):
        bench.saw(f"{name}: zombies", one.zombies, "state Z in /proc/PID/stat")
        bench.saw(f"{name}: SIGTERM", f"status {one.status} after {one.seconds:.3f} s", "echo $? after tinybox run")
    bench.claim("with an init SIGTERM arrives: 143, within the grace period", forward.in_time)
    bench.claim("and the status is the program's", forward.status == TERMINATED)
    bench.claim("and no zombie is left", forward.zombies == 0)
    bench.claim("a naive PID 1 takes the whole grace period, and SIGKILL", not naive.in_time and naive.status == KILLED)
    bench.claim("and leaves the orphan as a zombie", naive.zombies == 1)


LAB = Lab(
    question="A program is stopped with SIGTERM and a second of grace: once under an init, once as PID 1 itself. How"
    " long does each take, and what is the status?",
    answer="Under an init milliseconds, and 143. As PID 1 the whole second, and 137: the kernel protects it from"
    " SIGTERM. And only the init has buried the orphan.",
    control="no init in the first box either (--init none)",
    check=check,
)
