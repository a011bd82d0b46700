"""Concurrency and parallelism: two busy processes on one CPU, and on two.

Two processes on one CPU take turns: they are concurrent, and together they get at most one CPU. On two CPUs they run
at the same moment: they are parallel. nginx pins its workers to CPUs for this reason. A box is pinned by its control
group.
"""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING

from tinybox.lab import inside, look
from tinybox.lab.course import Lab

if TYPE_CHECKING:
    from tinybox.lab.bench import Bench

SPAN = 0.3  # seconds a round
ENOUGH, FREE = 1.1, 1.6  # CPUs: more than one CPU can give; and what two busy processes get if both CPUs are free


def burn(until: float) -> None:
    """Use the CPU until the clock shows *until*; see clock_gettime(2)."""
    while time.monotonic() < until:
        continue
    os._exit(0)


def work() -> None:
    """In the box: for each line from the lab, run two busy children; send "busy", then CPU time divided by time."""
    while inside.receive_line():
        began, used = time.monotonic(), os.times()
        pids = []
        for _ in range(2):
            pids.append(os.fork())
            if pids[-1] == 0:
                burn(began + SPAN)
        inside.send("busy")
        for pid in pids:
            os.waitpid(pid, 0)
        now = os.times()
        spent = now.children_user + now.children_system - used.children_user - used.children_system
        inside.send(round(spent / (time.monotonic() - began), 2))


def processors(pids: list[int]) -> set[str]:
    """Return the CPUs on which *pids* ran last: field 39 of /proc/PID/stat; a process that has ended is left out."""
    seen = set()
    for pid in pids:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            seen.add(look.stat(pid, 39))
    return seen


def best(bench: Bench, cpus: str, rounds: int, enough: float) -> float:
    """Return the most CPUs that two busy processes pinned to *cpus* had in one of the *rounds*, up to *enough*."""
    most = 0.0
    with bench.box(work, cpuset_cpus=cpus) as box:
        allowed = look.status(box.program, "Cpus_allowed_list")
        bench.on_host(f"pinned to {cpus}", allowed, f"Cpus_allowed_list in /proc/{box.program}/status")
        where = set()
        for _ in range(rounds):
            box.send_line("go")
            box.receive()
            where |= processors(look.children(box.program))
            most = max(most, box.receive())
            if most >= enough:
                break
    bench.on_host(f"pinned to {cpus}: on CPU", " ".join(sorted(where)), "field 39 of /proc/PID/stat of the workers")
    return bench.in_box(f"pinned to {cpus}: CPUs used", most, "utime + stime over the clock; see times(2)")


def alone(bench: Bench) -> float:
    """Return the fewest CPUs that two busy processes of the host get in three rounds, without any box."""
    shares: list[float] = []
    with bench.process(work) as host:
        for _ in range(3):
            host.send_line("go")
            host.receive()
            shares.append(float(host.receive()))
    return min(shares)


def check(bench: Bench, *, feature: bool) -> None:
    """Let two busy processes run on one CPU, then on two."""
    cpus = sorted(os.sched_getaffinity(0))[:2]
    bench.need(len(cpus) == 2, "tinybox may use only one CPU of this machine")
    one, two = str(cpus[0]), f"{cpus[0]},{cpus[1]}"
    narrow = best(bench, one, 2, 2.0)
    wide = best(bench, two if feature else one, 4, ENOUGH)
    if feature and wide < ENOUGH:
        bench.need_fair()
        bench.need(alone(bench) > FREE, "other programs use the second CPU: two processes of the host get no more")
    bench.claim("on one CPU two busy processes never get more than one CPU", narrow <= 1.05)
    bench.claim("on two CPUs they get more than one CPU, at least once", wide >= ENOUGH)


LAB = Lab(
    question="Two busy processes on one CPU, then on two: how many CPUs do they use in each case?",
    answer="Never more than 1.00 on one: they take turns. Up to 2.00 on two: there they run at the same moment.",
    control="the second box is pinned to the same single CPU: never more than one",
    check=check,
)
