"""One process, two numbers: PID and PPID inside and outside.

A pid namespace gives every process in it a second number, counted from 1. It is one process, listed on the host and in
the box, with a number on each side. A process without a number in the box cannot be named there. So the parent of a
box's first process is number 0 inside, which means "a process outside".
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tinybox.lab import look
from tinybox.lab.course import Lab

if TYPE_CHECKING:
    from tinybox.lab.bench import Bench


def introduce() -> tuple[int, int]:
    """In the box: print the pid and the parent's pid, and stay until stdin is closed."""
    os.write(1, f"{os.getpid()} {os.getppid()}\n".encode())
    os.read(0, 1)
    return os.getpid(), os.getppid()


def check(bench: Bench, *, feature: bool) -> None:
    """Compare the numbers that a process in a box gets from the kernel with those that the host reads in /proc."""
    with bench.box(introduce, init="none", pid="private" if feature else "host") as box:
        pid, parent = map(int, box.read_line().split())
        bench.in_box("PID", pid, "getpid(2)")
        bench.in_box("PPID", parent, "getppid(2)")
        bench.on_host("PID", box.pid, "the result of clone3(2) in tinybox")
        above = bench.on_host("PPID", int(look.stat(box.pid, 4)), f"field 4 of /proc/{box.pid}/stat")
        numbers = bench.on_host("NSpid", look.status(box.pid, "NSpid"), f"/proc/{box.pid}/status").split()
    bench.claim("inside it is number 1, and its parent is number 0", (pid, parent) == (1, 0))
    bench.claim("outside it has another number, and a parent", box.pid != 1 and above == os.getpid())
    bench.claim("the kernel lists both numbers of the one process", numbers == [str(box.pid), "1"])


LAB = Lab(
    question="A box's first process calls getpid(2) and getppid(2). What do they return, and what does the host see?",
    answer="1 and 0 inside. On the host the same process has another number, and a parent: NSpid in /proc/PID/status"
    " lists the numbers from the outermost pid namespace to the innermost.",
    control="no pid namespace of its own (--pid host): one number, the same on both sides",
    check=check,
)
