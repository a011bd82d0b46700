"""SIGCHLD coalesces: twenty ends, one signal.

A pending signal is one bit: that it has come, not how often. So twenty children that end while SIGCHLD is blocked
leave one SIGCHLD. Whoever reaps one child for each signal leaves nineteen zombies; right is to reap until none is left.
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from tinybox.lab import inside, look
from tinybox.lab.course import Lab

if TYPE_CHECKING:
    from tinybox.lab.bench import Bench

CHILDREN = 20


def reap(in_a_loop: bool) -> None:
    """In the box: let children end while SIGCHLD is blocked, then take the signal as often as it has come."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])
    children = [start_and_end() for _ in range(CHILDREN)]
    while any(look.state(child) != "Z" for child in children):
        os.sched_yield()
    inside.tell(children)
    inside.listen()
    signals = reaped = 0
    while signal.sigtimedwait([signal.SIGCHLD], 0):
        signals += 1
        reaped += reap_all() if in_a_loop else reap_one()
    inside.tell({"signals": signals, "reaped": reaped, "zombies": sum(look.state(child) == "Z" for child in children)})
    inside.listen()


def start_and_end() -> int:
    """Fork a child that ends at once; see _exit(2)."""
    child = os.fork()
    if child == 0:
        os._exit(0)
    return child


def reap_one() -> int:
    """Reap one child; see wait(2)."""
    return int(os.waitpid(-1, os.WNOHANG)[0] > 0)


def reap_all() -> int:
    """Reap until no child is left; return how many that were."""
    count = 0
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            count += 1
    except ChildProcessError:
        pass
    return count


def check(bench: Bench, *, feature: bool) -> None:
    """Count children, signals, and who was reaped."""
    with bench.box(reap, feature) as box:
        children = box.hear()
        pending = look.signals(box.program, "ShdPnd")
        mask = look.status(box.program, "ShdPnd")
        bench.on_host("pending", mask, f"ShdPnd of /proc/{box.program}/status; bit 16 is signal 17, SIGCHLD")
        box.say("take them")
        told = box.hear()
        zombies = sum(look.state(child) == "Z" for child in look.children(box.program))
    bench.in_box("children that ended", len(children), "fork(2), _exit(2)")
    bench.in_box("signals taken", told["signals"], "sigtimedwait(2), until there is none")
    bench.in_box("reaped", told["reaped"], "waitpid(2)")
    bench.on_host("zombies left", zombies, "state Z in /proc/PID/stat")
    bench.claim("the kernel keeps one bit for them all", signal.SIGCHLD in pending)
    bench.claim("twenty ends are one signal", told["signals"] == 1)
    bench.claim("a loop reaps all of them", told["reaped"] == CHILDREN)
    bench.claim("nobody is left as a zombie", (told["zombies"], zombies) == (0, 0))


LAB = Lab(
    question=f"{CHILDREN} children end while SIGCHLD is blocked. How many SIGCHLD come when it is let through?",
    answer="One: a pending signal is a bit, not a count. So a handler reaps in a loop until there is none left.",
    control="one wait for each signal: nineteen zombies stay",
    check=check,
)
