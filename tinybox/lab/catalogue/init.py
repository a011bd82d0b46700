"""What an init does: pass signals on, and reap orphans.

A program that becomes PID 1 gets two duties that it does not know of. First, SIGTERM does nothing to it, because it has
no handler; so stopping it takes the whole grace period and ends with SIGKILL. Second, orphans become its children, and
stay zombies when they end, because it never waits for them. A small init as PID 1 does both duties, and passes the
program's exit status on.
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

REAPING = 0.5  # seconds that an init may take to reap an orphan; a program that never reaps takes longer
GRACE = 1.0  # seconds between SIGTERM and SIGKILL; docker's default is 10
TERMINATED, KILLED = 128 + signal.SIGTERM, 128 + signal.SIGKILL


class Stop(NamedTuple):
    """How a box stopped: whether within the grace period, after how many seconds, its status, its zombies before."""

    in_time: bool
    seconds: float
    status: int
    zombies: int


def orphan_and_stay() -> None:
    """In the box: make a grandchild whose parent ends first; send a line when it has ended, and stay; see fork(2)."""
    reading, writing = os.pipe()
    if os.fork() == 0:
        if os.fork() == 0:
            while os.getppid() not in (1, 0):
                os.sched_yield()
        os._exit(0)
    os.wait()
    os.close(writing)
    os.read(reading, 1)  # end of file: the orphan, too, has closed the pipe
    inside.send("orphaned")
    while True:
        signal.pause()


def stop(bench: Bench, init: str) -> Stop:
    """Run the program under this kind of init and stop it, as `tinybox stop -t 1` does."""
    with bench.box(orphan_and_stay, init=init) as box:
        box.receive()
        bench.comes(lambda: set(look.children(box.pid)) <= {box.program}, REAPING)
        left = zombies(box.pid)
        began = time.monotonic()
        os.kill(box.pid, signal.SIGTERM)
        in_time = bool(bench.comes(lambda: look.state(box.pid) in "ZX", GRACE))
        if not in_time:
            os.kill(box.pid, signal.SIGKILL)
        status = box.wait()
        return Stop(in_time, time.monotonic() - began, status, left)


def zombies(pid: int) -> int:
    """Return how many children of a process have ended without being waited for."""
    return sum(look.state(child) == "Z" for child in look.children(pid))


def check(bench: Bench, *, feature: bool) -> None:
    """Stop the same program under an init, and as PID 1 itself."""
    kinds = ("forward" if feature else "none", "none")
    forward, alone = (stop(bench, kind) for kind in kinds)
    for name, one in (("with an init", forward), ("as PID 1", alone)):
        bench.saw(f"{name}: zombies", one.zombies, "state Z in /proc/PID/stat")
        bench.saw(f"{name}: SIGTERM", f"status {one.status} after {one.seconds:.3f} s", "echo $? after tinybox run")
    bench.claim("with an init, SIGTERM ends the program within the grace period", forward.in_time)
    bench.claim("and the box's status is the program's: 143", forward.status == TERMINATED)
    bench.claim("and no zombie is left", forward.zombies == 0)
    bench.claim("as PID 1, it takes the whole grace period, and SIGKILL", not alone.in_time and alone.status == KILLED)
    bench.claim("and the orphan stays as a zombie", alone.zombies == 1)


LAB = Lab(
    question="A program is stopped with SIGTERM and a grace period of one second: once under an init, once as PID 1"
    " itself. How long does each take, and what is the status?",
    answer="Under an init milliseconds, and 143. As PID 1 the whole second, and 137: the kernel protects it from"
    " SIGTERM. And only the init has reaped the orphan.",
    control="the first box has no init, either (--init=none)",
    check=check,
)
