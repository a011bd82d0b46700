"""File descriptors, and the limit on them.

A file descriptor is an index into a table that each process has in the kernel; a new descriptor is always the lowest
free index. RLIMIT_NOFILE is the length of the table: with 64 the last index is 63, and the next open(2) fails with
EMFILE. The limit can be set from outside, while the process runs, with prlimit(2).
"""

from __future__ import annotations

import errno
import os
import resource
from typing import TYPE_CHECKING

from tinybox.lab import inside, look
from tinybox.lab.course import Lab

if TYPE_CHECKING:
    from tinybox.lab.bench import Bench

LIMIT, ENOUGH = 64, 100


def open_many(most: int) -> None:
    """In the box: open /dev/null until open(2) fails, or *most* are open; send the last fd and the errno's name."""
    inside.send("ready")
    inside.receive_line()
    last, refusal = -1, "none"
    while last < most:
        try:
            last = os.open("/dev/null", os.O_RDONLY)
        except OSError as error:
            refusal = errno.errorcode[error.errno or 0]
            break
    inside.send([last, refusal])
    inside.receive_line()


def check(bench: Bench, *, feature: bool) -> None:
    """Shorten the table of a running process from the host, and let it open files until the table is full."""
    with bench.box(open_many, ENOUGH) as box:
        box.receive()
        pid = box.program
        if feature:
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (LIMIT, LIMIT))
        lines = look.text(f"/proc/{pid}/limits").splitlines()
        limit = next(line for line in lines if line.startswith("Max open files")).split()[3]
        bench.on_host("Max open files", limit, f"prlimit -p {pid} -n; /proc/{pid}/limits")
        box.send_line("go")
        last, refusal = box.receive()
    bench.in_box("the last fd", last, "open(2) of /dev/null, again and again")
    bench.in_box("then errno", refusal, "open(2)")
    bench.claim("the host has set the limit of a process in the box", limit == str(LIMIT))
    bench.claim(f"the last fd is {LIMIT - 1}", last == LIMIT - 1)
    bench.claim("one more open(2) fails with EMFILE", refusal == "EMFILE")


LAB = Lab(
    question=f"A program may have {LIMIT} open files. What is the number of the last, and what happens at one more?",
    answer=f"{LIMIT - 1}, because numbers begin at 0; and open(2) fails with EMFILE. The host has set the limit while"
    " the program ran.",
    control="no prlimit(2): the program can open more files",
    check=check,
)
