"""How pids are given out: the next number, the wrap, and reuse.

A pid namespace counts upwards: a new process gets the last number plus one, whether lower numbers are free or not.
After pid_max the count begins again at 300, and the number of a process that ended long ago is given to another one. A
program that kept the old number in a file then signals the wrong process. This is the reason for pidfds.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tinybox.lab import inside, look
from tinybox.lab.course import Lab
from tinybox.pictures.series import Axis, Curve, Curves

if TYPE_CHECKING:
    from tinybox.lab.bench import Bench

LAST, MAX = "/proc/sys/kernel/ns_last_pid", "/proc/sys/kernel/pid_max"
OTHERS = 1000  # processes that other programs may start on the host during the lab
FORKS = 24  # processes at the end of the count, for the picture
WRAP = 300  # the kernel keeps the numbers below for processes that were started at boot


def new_pid() -> int:
    """Make a child, wait for its end, and return the number that it had; see fork(2)."""
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return pid


def count_from(last: int) -> None:
    """Set the number that this pid namespace gave out last; see ns_last_pid in proc_sys_kernel(5)."""
    with open(LAST, "w", encoding="utf-8") as file:
        file.write(str(last))


def use_numbers(set_back: bool) -> None:
    """In the box: make children, set the counter back, make another child, and two at the end of the count."""
    pids = [new_pid(), new_pid()]
    if set_back:
        count_from(pids[0] - 1)
    pids.append(new_pid())
    inside.send([os.getpid(), *pids])
    with open(MAX, encoding="utf-8") as file:
        limit = int(file.read())
    if set_back:
        count_from(limit - 2)
    inside.send([limit, new_pid(), new_pid()])
    if set_back:
        count_from(limit - FORKS // 2 - 1)
    inside.send([new_pid() for _ in range(FORKS)])
    inside.receive_line()


def draw(bench: Bench, pids: list[int], limit: int, *, set_back: bool) -> None:
    """Note the pids of many children in their order, as a picture."""
    place = pids.index(max(pids)) + 1
    says = f"The largest pid was {max(pids)}, and the next one {pids[place] if place < len(pids) else 'is not here'}."
    source = f"fork(2) in the box{f', with ns_last_pid set to {limit - FORKS // 2 - 1} before' if set_back else ''}"
    across, given = Axis("processes made, in their order"), Curve("pids", [*enumerate(pids, 1)], "dots")
    bench.draw(Curves("The pids that a box gives out", says, source, across, Axis("pid"), [given], ("pid_max", limit)))


def check(bench: Bench, *, feature: bool) -> None:
    """Record which numbers the children in a box get."""
    bench.need(os.path.exists(LAST), f"this kernel has no {LAST} (CONFIG_CHECKPOINT_RESTORE)")
    before = bench.on_host("last pid, before", int(look.text(LAST)), LAST)
    with bench.box(use_numbers, feature, privileged=True) as box:
        own, first, second, third = box.receive()
        limit, last, wrapped = box.receive()
        pids = box.receive()
        bench.in_box("two children", f"{first} {second}", "fork(2)")
        bench.in_box(f"after `echo {first - 1} > ns_last_pid`" if feature else "next", third, "fork(2)")
        bench.in_box("pid_max", limit, MAX)
        order = f"after `echo {limit - 2} > ns_last_pid`" if feature else "the next two"
        bench.in_box(order, f"{last} {wrapped}", "fork(2)")
        after = bench.on_host("last pid, after", int(look.text(LAST)), LAST)
    draw(bench, pids, limit, set_back=feature)
    bench.claim("the next pid is the last one plus one", second == first + 1)
    bench.text_says("pids are random", f"two children got {first} and {second}", refuted=second == first + 1)
    bench.text_says(
        "the next pid is the largest pid plus one",
        f"while {own} was the largest in the box, came {second}: {first} had been given out and had ended",
        refuted=second > own + 1,
    )
    bench.claim("with the counter set back, a number is given out again", third == first)
    bench.claim(f"after pid_max the count begins again, at {WRAP}", (last, wrapped) == (limit - 1, WRAP))
    bench.claim("the counter of the host was not changed", (after - before) % int(look.text(MAX)) < OTHERS)


LAB = Lab(
    question="A process ends. When is its pid given to another process: at once, never, or later?",
    answer="Later: numbers are given out in a circle, up to pid_max, then from 300 on. Each pid namespace has a circle"
    " of its own. A process that may write ns_last_pid there can choose the next free number.",
    control="ns_last_pid is not written: the numbers go on, and none is used again",
    check=check,
)
