"""Waiting for many files: epoll against poll.

poll(2) brings the whole list of files into the kernel with every call, which walks all of it: with more idle files each
call costs more. epoll(7) leaves the list in the kernel, and a call looks only at what has become ready. Either way the
process sleeps and takes no CPU until something comes; a loop that asks again and again takes all of it.
"""

from __future__ import annotations

import os
import select
import time
from typing import TYPE_CHECKING

from tinybox.lab import inside, look
from tinybox.lab.course import Lab

if TYPE_CHECKING:
    from tinybox.lab.bench import Bench

FILES = 100
FEW, MANY, CALLS, ROUNDS = 10, 500, 200, 5
DEARER = 2  # times at least; nine were measured, and three on an emulated processor, where each call by itself is dear
BURNT = 0.2  # seconds of CPU that another process takes meanwhile


def wait(asleep: bool) -> None:
    """In the box: watch pipes in which nothing comes, asleep or asking for ever; see epoll_wait(2)."""
    epoll = select.epoll()
    for _ in range(FILES):
        epoll.register(os.pipe()[0], select.EPOLLIN)
    inside.tell(epoll.fileno())
    while True:
        epoll.poll(-1 if asleep else 0)


def costs() -> dict[str, float]:
    """In the box: return by how much a call is dearer with MANY idle files than with FEW; see clock(3)."""
    readers = [os.pipe()[0] for _ in range(FEW)]
    first = {"poll": cost(select.poll(), readers), "epoll": cost(select.epoll(), readers)}
    readers += [os.dup(readers[0]) for _ in range(MANY - FEW)]
    then = {"poll": cost(select.poll(), readers), "epoll": cost(select.epoll(), readers)}
    return {name: round(then[name] / first[name], 1) for name in first}


def cost(watcher: select.poll | select.epoll, readers: list[int]) -> float:
    """Return the CPU time of some calls that find nothing, the best of a few rounds."""
    for fd in readers:
        watcher.register(fd, select.POLLIN)
    spent = []
    for _ in range(ROUNDS):
        began = time.process_time_ns()
        for _ in range(CALLS):
            watcher.poll(0)
        spent.append(time.process_time_ns() - began)
    return min(spent)


def burn() -> None:
    """On the host: be busy for a while, as a clock that counts CPU time."""
    while time.process_time() < BURNT:
        pass


def check(bench: Bench, *, feature: bool) -> None:
    """Look at a process that waits for 100 files while another one is busy; then compare what calls cost."""
    with bench.box(wait, feature) as box:
        fd, pid = box.hear(), box.program
        asleep = bench.comes(look.asleep(pid, "poll"), 1)
        lines = look.text(f"/proc/{pid}/fdinfo/{fd}").count("tfd:")
        bench.on_host("files in the list", lines, f"lines tfd: in /proc/{pid}/fdinfo/{fd}")
        bench.on_host("it sleeps in", look.sleeps_in(pid), f"/proc/{pid}/wchan")
        before = look.seconds(pid)
        with bench.process(burn) as clock:
            clock.wait()
        used = round(look.seconds(pid) - before, 2)
        bench.on_host("its CPU time", used, f"fields 14 and 15 of /proc/{pid}/stat, while another burnt {BURNT} s")
    with bench.box(costs) as box:
        ratio = box.hear()
    for name, times in ratio.items():
        bench.in_box(f"{name}, {MANY} files", f"{times} x", f"CPU time of {CALLS} calls, against {FEW} files")
    bench.claim("the kernel keeps the list of 100 files", lines == FILES)
    bench.claim("the process sleeps in epoll_wait(2), and takes no CPU", asleep and used == 0)
    bench.claim("poll(2) grows with the number of idle files", ratio["poll"] > DEARER)
    bench.claim("epoll_wait(2) does not", ratio["epoll"] < 3)


LAB = Lab(
    question=f"A process waits for {FILES} idle pipes. How much CPU does that take? And what does it cost to ask"
    f" {CALLS} times about {MANY} of them, against {FEW}?",
    answer="None: it sleeps in epoll_wait(2). poll(2) becomes several times dearer with the longer list, epoll does"
    " not: its list lies in the kernel.",
    control="a loop that asks without waiting: it never sleeps, and burns a CPU",
    check=check,
)
