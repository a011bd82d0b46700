"""Waiting for many files: epoll against poll.

Every call of poll(2) passes the whole list of files to the kernel, which checks all of them: with more idle files each
call costs more. epoll(7) keeps the list in the kernel, and a call checks only the files that have become ready. In both
cases the process sleeps and takes no CPU until a file is ready; a loop that asks again and again takes a whole CPU.
"""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import select
import time
from typing import TYPE_CHECKING

from tinybox.lab import inside, look
from tinybox.lab.course import Lab
from tinybox.pictures.series import Axis, Curve, Curves

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinybox.lab.bench import Bench

FILES = 100
SIZES = (10, 30, 100, 500, 1000, 3000, 10_000)  # idle files: up to the ten thousand of the C10K problem
SELECTABLE = 1000  # files at most for select(2)
FEW, MANY, CALLS, ROUNDS = 10, 500, 200, 5
DEARER = 2  # times at least; nine were measured, and three on an emulated processor, where every call is slow
BURNT = 0.2  # seconds of CPU that another process uses at the same time


def wait(asleep: bool) -> None:
    """In the box: wait for pipes that stay empty, *asleep* or in a busy loop; see epoll_wait(2)."""
    epoll = select.epoll()
    for _ in range(FILES):
        epoll.register(os.pipe()[0], select.EPOLLIN)
    maps = look.text("/proc/self/maps").count("eventpoll")
    try:
        mmap.mmap(epoll.fileno(), mmap.PAGESIZE)
        refusal = "works"
    except OSError as error:
        refusal = errno.errorcode[error.errno or 0]
    inside.send([epoll.fileno(), maps, refusal])
    while True:
        epoll.poll(-1 if asleep else 0)


def costs() -> dict[str, list[tuple[int, float]]]:
    """In the box: return for each way to wait the microseconds of CPU of one call, with more and more idle files."""
    readers, poll, epoll = [os.pipe()[0]], select.poll(), select.epoll()
    ways = {
        "poll": lambda: poll.poll(0),
        "epoll": lambda: epoll.poll(0),
        "select": lambda: select.select(readers, (), (), 0),
    }
    found: dict[str, list[tuple[int, float]]] = {name: [] for name in ways}
    for size in SIZES:
        readers += [os.dup(readers[0]) for _ in range(size - len(readers))]
        for fd in readers:
            poll.register(fd, select.POLLIN)
            with contextlib.suppress(FileExistsError):
                epoll.register(fd, select.EPOLLIN)
        for name, call in ways.items():
            if name != "select" or size <= SELECTABLE:
                found[name].append((size, cost(call, max(4, CALLS * MANY // (size + MANY)))))
    return found


def cost(call: Callable[[], object], calls: int) -> float:
    """Return the microseconds of CPU time of one *call* that finds nothing, the best of a few rounds; see clock(3)."""
    spent = []
    for _ in range(ROUNDS):
        began = time.process_time_ns()
        for _ in range(calls):
            call()
        spent.append((time.process_time_ns() - began) / calls / 1000)
    return round(min(spent), 3)


def burn() -> None:
    """On the host: use BURNT seconds of CPU time."""
    while time.process_time() < BURNT:
        pass


def check(bench: Bench, *, feature: bool) -> None:
    """Measure a process that waits for 100 files while another one is busy; then compare the cost of the calls."""
    with bench.box(wait, feature) as box:
        (fd, maps, refusal), pid = box.receive(), box.program
        asleep = bench.comes(look.asleep(pid, "poll"), 1)
        lines = look.text(f"/proc/{pid}/fdinfo/{fd}").count("tfd:")
        bench.on_host("files in the list", lines, f"lines tfd: in /proc/{pid}/fdinfo/{fd}")
        bench.on_host("it sleeps in", look.sleeps_in(pid), f"/proc/{pid}/wchan")
        bench.text_says("epoll shares memory with the program by mmap", f"mmap(2) of its descriptor: {refusal},"
                        f" and {maps} lines in /proc/{pid}/maps", refuted=refusal == "ENODEV" and not maps)  # fmt: skip
        before = look.seconds(pid)
        with bench.process(burn) as clock:
            clock.wait()
        used = round(look.seconds(pid) - before, 2)
        bench.on_host("its CPU time", used, f"fields 14 and 15 of /proc/{pid}/stat, while another used {BURNT} s")
    with bench.box(costs, **bench.descriptors(SIZES[-1] + 100)) as box:
        curves = {name: [(size, spent) for size, spent in points] for name, points in box.receive().items()}
    ratio = {name: round(dict(points)[MANY] / dict(points)[FEW], 1) for name, points in curves.items()}
    for name, times in ratio.items():
        bench.in_box(f"{name}, {MANY} files", f"{times} x", f"CPU time of a call, against {FEW} files")
    most = {name: points[-1][1] / points[0][1] for name, points in curves.items()}
    bench.draw(
        Curves(
            "One call that finds nothing ready",
            f"With {SIZES[-1]} files, a call of poll takes {most['poll']:.0f} times what it takes with {FEW}; of epoll,"
            f" {most['epoll']:.1f} times.",
            "clock(3) around calls in the box, best of a few rounds; select(2) cannot have a descriptor above 1023",
            Axis("idle files", logarithmic=True),
            Axis("microseconds of CPU for a call", logarithmic=True),
            [Curve(name, points) for name, points in curves.items()],
        )
    )
    bench.claim("the kernel keeps the list of 100 files", lines == FILES)
    bench.claim("the process sleeps in epoll_wait(2), and takes no CPU", asleep and used == 0)
    bench.claim("the cost of poll(2) grows with the number of idle files", ratio["poll"] > DEARER)
    bench.claim("the cost of epoll_wait(2) does not", ratio["epoll"] < 3)


LAB = Lab(
    question=f"A process waits for {FILES} idle pipes. How much CPU does that take? And how much more do {CALLS} calls"
    f" cost for {MANY} pipes than for {FEW}?",
    answer="None: it sleeps in epoll_wait(2). A call of poll(2) costs several times more with the longer list, a call"
    " of epoll_wait(2) does not: the list is in the kernel.",
    control="a loop that asks without waiting: it never sleeps, and uses a whole CPU",
    check=check,
)
