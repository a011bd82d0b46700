"""How pids are given out: the next number, the wrap, and reuse.

A pid namespace counts upwards: a new process gets the last number plus one, whether lower ones are free or not. At
pid_max the count begins again at 300, and a number whose process is long gone is given to a stranger. Who kept the
old number in a file will then signal the stranger: hence pidfds.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tinybox.lab import inside, look
from tinybox.lab.course import Lab

if TYPE_CHECKING:
    from tinybox.lab.bench import Bench

LAST, MAX = "/proc/sys/kernel/ns_last_pid", "/proc/sys/kernel/pid_max"
OTHERS = 1000  # processes that others may start on the host meanwhile
WRAP = 300  # the kernel keeps the numbers below for what was started at boot


def birth() -> int:
    """Make a child, wait for its end, and return the number that it had; see fork(2)."""
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return pid


def count_from(last: int) -> None:
    """Tell this pid namespace which number it gave out last; see ns_last_pid in proc_sys_kernel(5)."""
    with open(LAST, "w", encoding="utf-8") as file:
        file.write(str(last))


def give_birth(set_back: bool) -> None:
    """In the box: have children, set the counter back, have another one, and one at the very end of the count."""
    births = [birth(), birth()]
    if set_back:
        count_from(births[0] - 1)
    births.append(birth())
    inside.tell(births)
    with open(MAX, encoding="utf-8") as file:
        limit = int(file.read())
    if set_back:
        count_from(limit - 2)
    inside.tell([limit, birth(), birth()])
    inside.listen()


def check(bench: Bench, *, feature: bool) -> None:
    """Watch which numbers the children of a box get."""
    bench.need(os.path.exists(LAST), f"this kernel has no {LAST} (CONFIG_CHECKPOINT_RESTORE)")
    before = bench.on_host("last pid, before", int(look.text(LAST)), LAST)
    with bench.box(give_birth, feature, privileged=True) as box:
        first, second, third = box.hear()
        limit, last, wrapped = box.hear()
        bench.in_box("two children", f"{first} {second}", "fork(2)")
        bench.in_box(f"after `echo {first - 1} > ns_last_pid`" if feature else "next", third, "fork(2)")
        bench.in_box("pid_max", limit, MAX)
        order = f"after `echo {limit - 2} > ns_last_pid`" if feature else "the next two"
        bench.in_box(order, f"{last} {wrapped}", "fork(2)")
        after = bench.on_host("last pid, after", int(look.text(LAST)), LAST)
    bench.claim("the next pid is the last one plus one", second == first + 1)
    bench.claim("with the counter set back, a number is given out again", third == first)
    bench.claim(f"behind pid_max the count begins again, at {WRAP}", (last, wrapped) == (limit - 1, WRAP))
    bench.claim("the host's own counter was not moved", (after - before) % int(look.text(MAX)) < OTHERS)


LAB = Lab(
    question="A process ends. When is its pid given to another one: at once, never, or later?",
    answer="Later: numbers are given out in a circle, up to pid_max, then from 300 on. Each pid namespace has a circle"
    " of its own; whoever may write ns_last_pid there can have any free number next.",
    control="ns_last_pid is left alone: the numbers go on, and none comes again",
    check=check,
)
