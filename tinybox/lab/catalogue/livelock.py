"""Livelock and starvation: two who are too polite for the door.

In a deadlock all sleep. In a livelock all are busy: each sees that the other wants the door, too, gives way, and
tries again at the same moment. The CPU time grows and the work does not, so no monitor that looks for sleepers finds
it. One who is less polite ends it, or a pause of random length.
"""

from __future__ import annotations

import os
import socket
import time
from typing import TYPE_CHECKING

from tinybox.lab import inside, look
from tinybox.lab.course import Lab

if TYPE_CHECKING:
    from tinybox.lab.bench import Bench

ROUNDS = 5000


def be_polite(side: socket.socket, yields: bool) -> tuple[int, int, float]:
    """Try to get through the door when the other *side* does; return rounds, ways through, CPU seconds.

    What we say each round, and hear of the other: 1 for "I want to go", 0 for "I have gone".
    """
    wanting, gone, rounds = True, 0, 0
    while rounds < ROUNDS:
        rounds += 1
        side.send(bytes([wanting]))
        other = side.recv(1) == b"\1"
        if not wanting and not other:
            break
        if wanting and (not other or not yields):
            gone, wanting = gone + 1, False
    return rounds, gone, time.process_time()


def stand_before_the_door(both_yield: bool) -> None:
    """In the box: be both of them; tell rounds and progress, and stay to be looked at."""
    ours, theirs = socket.socketpair()
    if os.fork() == 0:
        inside.tell(be_polite(theirs, yields=True))
        os.read(0, 1)
        os._exit(0)
    inside.tell(be_polite(ours, yields=both_yield))
    os.read(0, 1)


def check(bench: Bench, *, feature: bool) -> None:
    """Count rounds, progress and CPU time of two polite processes."""
    with bench.box(stand_before_the_door, feature) as box:
        (rounds, one, burnt), (_, other, burnt_too) = box.hear(), box.hear()
        ticks = [look.seconds(pid) for pid in (box.program, *look.children(box.program))]
        bench.in_box("rounds", rounds, "a counter in the program")
        bench.in_box("gone through", one + other, "a counter in the program")
        bench.in_box("CPU seconds burnt", f"{burnt + burnt_too:.4f}", "CLOCK_PROCESS_CPUTIME_ID of clock_gettime(2)")
        bench.on_host("CPU seconds burnt", f"{sum(ticks):.2f}", "fields 14 and 15 of /proc/PID/stat, in ticks")
    bench.claim("thousands of rounds", rounds >= 1000)
    bench.claim("no progress", one + other == 0)
    bench.claim("and CPU time was burnt all the while", burnt + burnt_too > ROUNDS / 1e6)


LAB = Lab(
    question="Two processes both give way whenever the other wants to go. How much CPU do they use, and for what?",
    answer="As much as they get, for nothing: thousands of rounds, and nobody has gone. Each is alive and busy.",
    control="one of the two does not give way: both get through, in a few rounds",
    check=check,
)
