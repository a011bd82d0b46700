"""Are more processes better? Why nginx has a worker for each CPU.

Busy workers share the CPUs of the machine: with more workers than CPUs there are more context switches, and no more
work is done. Workers that wait for a disk or a network use no CPU while they wait: there, more workers do more work, up
to a high number.
"""

from __future__ import annotations

import os
import resource
import struct
import time
from typing import TYPE_CHECKING

from tinybox.lab import inside
from tinybox.lab.course import Lab
from tinybox.pictures.series import Axis, Curve, Curves

if TYPE_CHECKING:
    from tinybox.lab.bench import Bench

SPAN, PAUSE = 0.25, 0.01  # seconds: the time of one measurement; the time that a slow disk takes to answer
CLOCK = struct.Struct("d")  # one reading of the clock that all processes share; see CLOCK_MONOTONIC in clock_gettime(2)


def busy_task() -> None:
    """Compute."""
    sum(range(3000))


def blocking_task() -> None:
    """Wait, as for a disk; see nanosleep(2)."""
    time.sleep(PAUSE)


def worker(gate: int, results: int, blocking: bool) -> None:
    """Wait for the start message, which has the time of the end; do tasks until then, and write their number."""
    (until,) = CLOCK.unpack(os.read(gate, CLOCK.size))
    task, done = blocking_task if blocking else busy_task, 0
    while True:
        task()
        if time.monotonic() > until:
            break
        done += 1
    os.write(results, done.to_bytes(4, "little"))
    os._exit(0)


def crew(number: int, blocking: bool) -> tuple[int, int, int]:
    """In the box: let *number* workers run.

    Return their tasks a second, their involuntary context switches, and the CPU time that they had, in milliseconds.
    """
    (gate, start), (counts, results) = os.pipe(), os.pipe()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    pids = []
    for _ in range(number):
        pids.append(os.fork())
        if pids[-1] == 0:
            worker(gate, results, blocking)
    os.write(start, CLOCK.pack(time.monotonic() + SPAN) * number)
    for pid in pids:
        os.waitpid(pid, 0)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = sum(int.from_bytes(os.read(counts, 4), "little") for _ in pids)
    for fd in (gate, start, counts, results):
        os.close(fd)
    had = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return round(done / SPAN), after.ru_nivcsw - before.ru_nivcsw, round(had * 1000)


def serve(sizes: list[int], busy: bool) -> None:
    """In the box: measure crews of all *sizes* and send the results, first of *busy* workers, then of waiting ones."""
    for blocking in (not busy, True):
        inside.send([crew(size, blocking) for size in sizes])


def need_cpus(bench: Bench, cpus: int, crews: list[list[int]]) -> None:
    """Raise Inconclusive if two crews of one worker for each CPU had not nearly all time of the CPUs, or differ.

    Other programs have had the rest. They leave more to 64 workers than to 2: so 64 do more work on a busy machine.
    """
    whole = cpus * SPAN * 1000
    for _, _, had in crews:
        bench.need(had > 0.85 * whole, f"a starved CPU: {cpus} workers had {had} ms of the {whole:.0f} of the CPUs")
    slow, fast = sorted(done for done, _, _ in crews)
    bench.need(fast < 1.3 * slow, f"a starved CPU: the same crew did {slow} tasks a second, and {fast} another time")


def draw(bench: Bench, busy: dict[int, list[int]], blocking: dict[int, list[int]], cpus: int) -> None:
    """Note the work of both kinds, compared with one worker's, and the context switches, as two pictures."""
    across, kinds = Axis("workers", logarithmic=True), {"busy": busy, "waiting": blocking}
    gains = [
        Curve(name, [(size, done / max(1, rows[1][0])) for size, (done, _, _) in rows.items()])
        for name, rows in kinds.items()
    ]
    most = {name: dict(curve.points)[64] for name, curve in zip(kinds, gains, strict=True)}
    says = (
        f"64 workers, against one: {most['busy']:.1f} times the work if busy, {most['waiting']:.0f} times if waiting."
    )
    bench.draw(Curves("More workers, more work?", says, "tasks a second, over those of one worker", across,
                      Axis("times the work of one worker", logarithmic=True), gains))  # fmt: skip
    switches = [Curve(name, [(size, moved) for size, (_, moved, _) in rows.items()]) for name, rows in kinds.items()]
    says = f"Busy workers: {busy[cpus][1]} switches with {cpus} workers, {busy[64][1]} with 64."
    bench.draw(Curves("Context switches against a worker's will", says, "ru_nivcsw of getrusage(2)", across,
                      Axis("involuntary switches in a quarter of a second"), switches))  # fmt: skip


def check(bench: Bench, *, feature: bool) -> None:
    """Measure the work of 1, 2, 4 ... 64 workers of both kinds."""
    cpus = len(os.sched_getaffinity(0))
    bench.need(cpus > 1, "tinybox may use only one CPU of this machine")
    sizes = sorted({1, 2, 4, 16, 64, cpus})
    if feature:
        bench.need_fair()
    with bench.box(serve, [*sizes, cpus, 64], feature) as box:
        (*rows, again, _), (*others, _, more) = box.receive(), box.receive()
        busy, blocking = dict(zip(sizes, rows, strict=True)), dict(zip(sizes, others, strict=True))
    for size in sizes:
        source = "tasks a second; ru_nivcsw of getrusage(2)"
        bench.in_box(f"{size} busy", f"{busy[size][0]} a second, {busy[size][1]} switches", source)
        bench.in_box(f"{size} blocking", f"{blocking[size][0]} a second", "tasks a second")
    draw(bench, busy, blocking, cpus)
    if feature:
        bench.need_fair()
        need_cpus(bench, cpus, [busy[cpus], again])
    waiting = max(blocking[64], more)
    is_much = waiting[0] > 8 * blocking[1][0]
    if feature and not is_much:  # were the CPUs too few for them, or had other programs the CPUs?
        whole, had = cpus * SPAN * 1000, waiting[2]
        bench.need(had > 0.85 * whole, f"a starved CPU: 64 waiting workers had {had} ms of the {whole:.0f} of the CPUs")
    most = max(busy[cpus][0], again[0])
    bench.claim(f"busy: 64 workers do no more than {cpus}, one for each CPU", busy[64][0] < 1.5 * most)
    fewest = min(busy[cpus][1], again[1])  # of two measurements: other programs may have disturbed one of them
    bench.claim("busy: and there are more context switches", busy[64][1] > fewest)
    bench.claim("blocking: 64 workers do much more than one", is_much)


LAB = Lab(
    question="Do twice as many worker processes do twice as much work, on this machine, from 1 to 64?",
    answer="Busy workers: up to the number of CPUs; beyond it only the context switches grow. Workers that wait for a"
    " disk or a network: yes, far beyond the number of CPUs.",
    control="the busy workers wait, too: now 64 of them do more than one for each CPU",
    check=check,
)
