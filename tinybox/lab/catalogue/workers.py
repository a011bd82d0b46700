"""Are more processes better? Why nginx has a worker for each CPU.

Busy workers share the CPUs that are there: beyond that number, more of them give more switches and no more work.
Workers that wait, for a disk or a network, do not use a CPU meanwhile: there, more of them do more, up to many.
"""

from __future__ import annotations

import os
import resource
import struct
import time
from typing import TYPE_CHECKING

from tinybox.lab import inside
from tinybox.lab.course import Lab

if TYPE_CHECKING:
    from tinybox.lab.bench import Bench

SPAN, PAUSE = 0.25, 0.01  # seconds: one measurement; one answer of a slow disk
CLOCK = struct.Struct("d")  # one reading of the clock that all processes share; see CLOCK_MONOTONIC in clock_gettime(2)


def busy_task() -> None:
    """Compute."""
    sum(range(3000))


def blocking_task() -> None:
    """Wait for somebody else, as for a disk; see nanosleep(2)."""
    time.sleep(PAUSE)


def worker(gate: int, results: int, blocking: bool) -> None:
    """Wait for the starting shot, which says when time is up, do tasks until then, write down how many are done."""
    (until,) = CLOCK.unpack(os.read(gate, CLOCK.size))
    task, done = blocking_task if blocking else busy_task, 0
    while True:
        task()
        if time.monotonic() > until:
            break
        done += 1
    os.write(results, done.to_bytes(4, "little"))
    os._exit(0)


def crew(number: int, blocking: bool) -> tuple[int, int]:
    """In the box: let *number* workers run; return their tasks a second, and how often they were switched."""
    (gate, shot), (heard, results) = os.pipe(), os.pipe()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    pids = []
    for _ in range(number):
        pids.append(os.fork())
        if pids[-1] == 0:
            worker(gate, results, blocking)
    os.write(shot, CLOCK.pack(time.monotonic() + SPAN) * number)
    for pid in pids:
        os.waitpid(pid, 0)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = sum(int.from_bytes(os.read(heard, 4), "little") for _ in pids)
    for fd in (gate, shot, heard, results):
        os.close(fd)
    return round(done / SPAN), after.ru_nivcsw - before.ru_nivcsw


def serve(sizes: list[int], busy: bool) -> None:
    """In the box: tell of crews of all *sizes*, first of busy workers (unless none is), then of waiting ones."""
    for blocking in (not busy, True):
        inside.tell([crew(size, blocking) for size in sizes])


def need_steady(bench: Bench, alone: int, together: int, again: int) -> None:
    """End the check as inconclusive where the same crew does not do the same twice, or two CPUs do no more than one."""
    slow, fast = sorted((together, again))
    bench.need(fast < 1.3 * slow, f"a starved CPU: the same crew did {together} tasks a second, then {again}")
    bench.need(slow > 1.05 * alone, f"a starved CPU: one worker did {alone} tasks a second, one for each CPU {slow}")


def check(bench: Bench, *, feature: bool) -> None:
    """Measure the work of 1, 2, 4 ... 64 workers of both kinds."""
    cpus = len(os.sched_getaffinity(0))
    bench.need(cpus > 1, "this machine has only one CPU for us")
    sizes = sorted({1, 2, 4, 16, 64, cpus})
    if feature:
        bench.need_fair()
    with bench.box(serve, [*sizes, cpus], feature) as box:
        *rows, again = box.hear()
        busy, blocking = dict(zip(sizes, rows, strict=True)), dict(zip(sizes, box.hear()[:-1], strict=True))
    for size in sizes:
        source = "tasks a second; ru_nivcsw of getrusage(2)"
        bench.in_box(f"{size} busy", f"{busy[size][0]} a second, {busy[size][1]} switches", source)
        bench.in_box(f"{size} blocking", f"{blocking[size][0]} a second", "tasks a second")
    if feature:
        bench.need_fair()
        need_steady(bench, busy[1][0], busy[cpus][0], again[0])
    bench.claim(f"busy: 64 workers do no more than {cpus}, one for each CPU", busy[64][0] < 1.5 * busy[cpus][0])
    fewest = min(busy[cpus][1], again[1])  # of the two times, for others may have come between in one of them
    bench.claim("busy: and they are switched more often", busy[64][1] > fewest)
    bench.claim("blocking: 64 workers do much more than one", blocking[64][0] > 8 * blocking[1][0])


LAB = Lab(
    question="Twice as many worker processes: twice as much work? On this machine, from 1 to 64?",
    answer="Busy workers: up to the number of CPUs, then not at all, and the switches grow. Workers that wait for"
    " something: yes, far beyond the CPUs.",
    control="the busy workers wait, too: now 64 of them do more than one for each CPU",
    check=check,
)
