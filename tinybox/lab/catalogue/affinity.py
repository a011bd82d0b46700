"""CPU affinity: why nginx gives each worker a CPU of its own.

The scheduler moves a process to another CPU when that one has less to do. The caches of the new CPU have nothing of the
data of the process yet. sched_setaffinity(2) forbids such moves. It does not keep other programs away: a process that
shares its CPU is switched out again and again, and with affinity it cannot go elsewhere.
"""

from __future__ import annotations

import ctypes
import json
import os
import time
from typing import TYPE_CHECKING, Any

from tinybox.lab import inside, look
from tinybox.lab.course import Lab

if TYPE_CHECKING:
    from tinybox.lab.bench import Bench

SPAN, ROUNDS = 0.1, 12  # seconds a round; rounds at most
SWITCHES = "nonvoluntary_ctxt_switches"
_libc = ctypes.CDLL(None)


def work(cpus: list[int], answer: int) -> None:
    """Be a worker: begin on the first CPU, then be free to use *cpus*; report moves and involuntary switches."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    os.sched_setaffinity(0, cpus)
    allowed = look.status("self", "Cpus_allowed_list")
    seen, moves, before = [_libc.sched_getcpu()], 0, int(look.status("self", SWITCHES))
    until = time.monotonic() + SPAN
    while time.monotonic() < until:
        here = _libc.sched_getcpu()
        if here != seen[-1]:
            moves += 1
            seen.append(here)
    switches = int(look.status("self", SWITCHES)) - before
    report = {"allowed": allowed, "cpus": sorted(set(seen)), "moves": moves, "switches": switches}
    os.write(answer, json.dumps(report).encode() + b"\n")
    os._exit(0)


def employ() -> None:
    """In the box: for each line, a list of lists of CPUs, let a worker run on each of them; send their reports."""
    while order := inside.receive_line():
        reading, writing = os.pipe()
        pids = []
        for cpus in json.loads(order):
            pids.append(os.fork())
            if pids[-1] == 0:
                work(cpus, writing)
        for pid in pids:
            os.waitpid(pid, 0)
        os.close(writing)
        inside.send([json.loads(line) for line in os.read(reading, 65536).splitlines()])
        os.close(reading)


def crew(box: Any, *cpus: list[int]) -> list[dict[str, Any]]:
    """Let one worker run on each of these lists of CPUs, and return their reports."""
    box.send_line(json.dumps(cpus))
    reports: list[dict[str, Any]] = box.receive()
    return reports


def total(reports: list[dict[str, Any]], name: str) -> int:
    """Return the sum of one figure over all workers."""
    return sum(report[name] for report in reports)


def note(bench: Bench, name: str, reports: list[dict[str, Any]]) -> None:
    """Note the figures of a crew as evidence."""
    allowed = "; ".join(sorted(report["allowed"] for report in reports))
    bench.in_box(f"{name}: allowed CPUs", allowed, "Cpus_allowed_list in /proc/PID/status")
    used = "; ".join(" ".join(map(str, cpus)) for cpus in sorted(report["cpus"] for report in reports))
    bench.in_box(f"{name}: CPUs used", used, "sched_getcpu(3), again and again")
    bench.in_box(f"{name}: moves", total(reports, "moves"), "changes of sched_getcpu(3)")
    bench.in_box(f"{name}: switches", total(reports, "switches"), f"{SWITCHES} in /proc/PID/status")


def check(bench: Bench, *, feature: bool) -> None:
    """Count moves of six workers that may use one CPU each, or both; then switches of one and of four on each CPU."""
    cpus = sorted(os.sched_getaffinity(0))[:2]
    bench.need(len(cpus) == 2, "tinybox may use only one CPU of this machine")
    one, other = cpus
    own = ([one], [other]) if feature else (cpus, cpus)
    pinned: list[dict[str, Any]] = []
    with bench.box(employ) as box:
        for _ in range(ROUNDS):
            pinned, free = crew(box, *own * 3), crew(box, *[cpus] * 6)
            if total(free, "moves") and (feature or total(pinned, "moves")):
                break
        for _ in range(ROUNDS):
            alone, crowd = crew(box, [one], [other]), crew(box, *([one], [other]) * 4)
            if total(alone, "switches") < total(crowd, "switches"):
                break
    crews = {"6, one CPU for each": pinned, "6, two CPUs for each": free}
    crews |= {"one for each CPU": alone, "four for each CPU": crowd}
    for name, reports in crews.items():
        note(bench, name, reports)
    moved = total(free, "moves") and (feature or total(pinned, "moves"))
    bench.need(moved, f"the scheduler moved no worker in {ROUNDS} rounds: other programs use the CPUs")
    fewer = total(alone, "switches") < total(crowd, "switches")
    bench.need(fewer, "a starved CPU: one worker for each CPU was switched out as often as four")
    bench.claim("the scheduler moves workers that may use both CPUs", total(free, "moves") > 0)
    bench.claim("it moves no worker that may use one CPU", total(pinned, "moves") == 0)
    bench.claim("and each stays on its CPU", all(len(report["cpus"]) == 1 for report in pinned))
    bench.claim("one worker for each CPU makes fewer switches than four", fewer)


LAB = Lab(
    question="Six busy workers begin on one of two CPUs. How often does the scheduler move one to the other CPU, and"
    " how often if each may use one CPU only? And what makes more context switches: one worker for each CPU, or four?",
    answer="At least once, often many times; and never if each may use one CPU only. Four for each CPU take turns."
    " Affinity removes the moves, not the turns; a worker for each CPU removes those.",
    control="all six workers may use both CPUs: they are moved",
    check=check,
)
