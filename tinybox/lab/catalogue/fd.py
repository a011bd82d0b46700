"""File descriptors, and the limit on them.

A file descriptor is an index into a table that each process has in the kernel; a new one is always the lowest that is
free. RLIMIT_NOFILE is the length of the table: with 64 the last index is 63, and whoever wants one more gets EMFILE.
The limit can be set from outside, while the process runs, with prlimit(2).
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


def open_many(most: int) -> tuple[int, str]:
    """In the box: open /dev/null until it is refused, or *most* are open; return the last fd and why it ended."""
    inside.tell("ready")
    inside.listen()
    last = -1
    while last < most:
        try:
            last = os.open("/dev/null", os.O_RDONLY)
        except OSError as error:
            return last, errno.errorcode[error.errno or 0]
    return last, "none"


def check(bench: Bench, *, feature: bool) -> None:
    """Shorten the table of a running process from the host, and let it open files to the end."""
    with bench.box(open_many, ENOUGH) as box:
        box.hear()
        pid = box.program
        if feature:
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (LIMIT, LIMIT))
        lines = look.text(f"/proc/{pid}/limits").splitlines()
        limit = next(line for line in lines if line.startswith("Max open files")).split()[3]
        bench.on_host("Max open files", limit, f"prlimit -p {pid} -n; /proc/{pid}/limits")
        box.say("go")
        last, refusal = box.hear()
    bench.in_box("the last fd", last, "open(2) of /dev/null, again and again")
    bench.in_box("then errno", refusal, "open(2)")
    bench.claim("the host has set the limit of a process in the box", limit == str(LIMIT))
    bench.claim(f"the last fd is {LIMIT - 1}", last == LIMIT - 1)
    bench.claim("one more is EMFILE", refusal == "EMFILE")


LAB = Lab(
    question=f"A program may have {LIMIT} open files. Which number has the last one, and what does one more give?",
    answer=f"{LIMIT - 1}, for they are counted from 0; and EMFILE. The host has set the limit while the program ran.",
    control="no prlimit(2): the program goes on opening",
    check=check,
)
