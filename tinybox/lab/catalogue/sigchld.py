"""Several SIGCHLD become one: twenty children end, one signal arrives.

A pending signal is one bit: it records that the signal has come, not how often. So twenty children that end while
SIGCHLD is blocked leave one SIGCHLD. A program that reaps one child for each signal leaves nineteen zombies. The right
way is to reap in a loop until no child is left.
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
    """In the box: let children end while SIGCHLD is blocked, then take the signal as long as it is pending."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])
    children = [start_and_end() for _ in range(CHILDREN)]
    while any(look.state(child) != "Z" for child in children):
        os.sched_yield()
    inside.send(children)
    inside.receive_line()
    signals = reaped = 0
    while signal.sigtimedwait([signal.SIGCHLD], 0):
        signals += 1
        reaped += reap_all() if in_a_loop else reap_one()
    inside.send({"signals": signals, "reaped": reaped, "zombies": sum(look.state(child) == "Z" for child in children)})
    inside.receive_line()


def start_and_end() -> int:
    """Fork a child that ends at once; see _exit(2)."""
    child = os.fork()
    if child == 0:
        os._exit(0)
    return child


def reap_one() -> int:
    """Reap one child; return 1, or 0 if none has ended; see wait(2)."""
    return int(os.waitpid(-1, os.WNOHANG)[0] > 0)


def reap_all() -> int:
    """Reap until no child is left; return the number of reaped children."""
    count = 0
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            count += 1
    except ChildProcessError:
        pass
    return count


def check(bench: Bench, *, feature: bool) -> None:
    """Count the children, the signals, and the reaped children."""
    with bench.box(reap, feature) as box:
        children = box.receive()
        pending = look.signals(box.program, "ShdPnd")
        mask = look.status(box.program, "ShdPnd")
        bench.on_host("pending", mask, f"ShdPnd of /proc/{box.program}/status; bit 16 is signal 17, SIGCHLD")
        children_file = f"/proc/{box.program}/task/{box.program}/children"
        box.send_line("take them")
        counts = box.receive()
        zombies = sum(look.state(child) == "Z" for child in look.children(box.program))
    bench.in_box("children that ended", len(children), "fork(2), _exit(2)")
    bench.in_box("signals taken", counts["signals"], "sigtimedwait(2), until there is none")
    bench.in_box("reaped", counts["reaped"], "waitpid(2)")
    bench.on_host("zombies left", zombies, f"those of {children_file} in state Z")
    bench.claim("the kernel keeps one bit for all of them", signal.SIGCHLD in pending)
    bench.claim("twenty children end, one signal arrives", counts["signals"] == 1)
    bench.claim("a loop reaps all of them", counts["reaped"] == CHILDREN)
    bench.claim("no zombie is left", (counts["zombies"], zombies) == (0, 0))


LAB = Lab(
    question=f"{CHILDREN} children end while SIGCHLD is blocked. How many SIGCHLD arrive when it is unblocked?",
    answer="One: a pending signal is a bit, not a count. So a handler must reap in a loop until no child is left.",
    control="one wait for each signal: nineteen zombies stay",
    check=check,
)
