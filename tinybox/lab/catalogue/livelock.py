"""Livelock: two processes that always give way.

In a deadlock all processes sleep for ever. In a livelock they go on: each sees that the other wants to go through the
same door, gives way, and tries again at the same moment. CPU time is used and no work is done. It ends if one process
does not give way, or pauses for a random time.
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
    """Try to get through the door while the other process does so, too; return rounds, times through, CPU seconds.

    In each round both processes send one byte to the other: 1 for "I want to go", 0 for "I have gone".
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


def running_time(pid: int) -> float:
    """Return the CPU time of a process in seconds, from its nanoseconds; see schedstat in proc(5)."""
    return int(look.text(f"/proc/{pid}/schedstat").split()[0]) / 1e9


def stand_before_the_door(both_yield: bool) -> None:
    """In the box: run both processes, which send rounds and progress to the lab, and stay to be observed."""
    first, second = socket.socketpair()
    if os.fork() == 0:
        inside.send(be_polite(second, yields=True))
        os.read(0, 1)
        os._exit(0)
    inside.send(be_polite(first, yields=both_yield))
    os.read(0, 1)


def check(bench: Bench, *, feature: bool) -> None:
    """Count rounds, progress and CPU time of two polite processes."""
    with bench.box(stand_before_the_door, feature) as box:
        (rounds, one, used), (_, other, used_too) = box.receive(), box.receive()
        pids = (box.program, *look.children(box.program))
        outside = sum(running_time(pid) for pid in pids)
        bench.in_box("rounds", rounds, "a counter in the program")
        bench.in_box("gone through", one + other, "a counter in the program")
        bench.in_box("CPU seconds used", f"{used + used_too:.4f}", "CLOCK_PROCESS_CPUTIME_ID of clock_gettime(2)")
        bench.on_host(
            "CPU seconds used", f"{outside:.4f}", f"cat /proc/{{{pids[0]},{pids[-1]}}}/schedstat: nanoseconds"
        )
    bench.claim("there were thousands of rounds", rounds >= 1000)
    bench.claim("there was no progress", one + other == 0)
    bench.claim("and CPU time was used for them", used + used_too > ROUNDS / 1e6)
    bench.claim("on both sides, it is the same time", used + used_too <= outside < 2 * (used + used_too) + 0.1)


LAB = Lab(
    question="Two processes both give way whenever the other wants to go. How much CPU do they use, and for what?",
    answer="Thousands of rounds take CPU time, and neither has gone: no process waits for ever, none makes progress.",
    control="one of the two does not give way: both get through, in a few rounds",
    check=check,
)
