"""sendfile: a file is copied without passing through the program.

With read(2) and write(2), each piece is copied from the kernel into the program's memory and back, with two calls for
each piece. sendfile(2) asks the kernel to copy a number of bytes from one descriptor to another: one call, and the
bytes never come into the program's memory.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from tinybox.lab import look
from tinybox.lab.course import Lab

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinybox.lab.bench import Bench

SIZE, PIECE = 8 << 20, 4096  # bytes
PIECES = SIZE // PIECE
FROM, TO = "/tmp/from", "/tmp/to"


def counts() -> tuple[int, int]:
    """Return how many reads and writes this process has made: syscr and syscw; see proc_pid_io(5)."""
    counted = dict(line.split(": ") for line in look.text("/proc/self/io").splitlines())
    return int(counted["syscr"]), int(counted["syscw"])


def piece_by_piece(source: int, target: int) -> None:
    """Copy with read(2) and write(2)."""
    while piece := os.read(source, PIECE):
        os.write(target, piece)


def at_once(source: int, target: int) -> None:
    """Copy with sendfile(2), which may copy less than all and is then called again for the rest."""
    done = 0
    while done < SIZE:
        done += os.sendfile(target, source, done, SIZE - done)


def measured(copy: Callable[[int, int], None]) -> dict[str, Any]:
    """Copy the file, and return the calls and the time that it took, and whether the copy is equal."""
    source = os.open(FROM, os.O_RDONLY)
    target = os.open(TO, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    first, (reads, writes) = counts(), counts()
    began = time.process_time_ns()
    copy(source, target)
    spent = time.process_time_ns() - began
    reads_after, writes_after = counts()
    equal = os.pread(source, SIZE, 0) == os.pread(target, SIZE, 0)
    os.close(source)
    os.close(target)
    for_counting = reads - first[0]  # calls of read(2) that read the counters
    return {"reads": reads_after - reads - for_counting, "writes": writes_after - writes, "ms": spent / 1e6,
            "equal": equal}  # fmt: skip


def copy_twice(with_sendfile: bool) -> list[dict[str, Any]]:
    """In the box: make a file, and copy it in both ways."""
    fd = os.open(FROM, os.O_WRONLY | os.O_CREAT, 0o600)
    os.write(fd, os.urandom(PIECE) * PIECES)
    os.close(fd)
    return [measured(piece_by_piece), measured(at_once if with_sendfile else piece_by_piece)]


def check(bench: Bench, *, feature: bool) -> None:
    """Copy 8 MiB in two ways, and count the calls."""
    with bench.box(copy_twice, feature, tmpfs=["/tmp"]) as box:
        looped, sent = box.receive()
    for name, one in (("read, write", looped), ("sendfile", sent)):
        bench.in_box(
            f"{name}: calls",
            f"{one['reads']} + {one['writes']}",
            "syscr + syscw in /proc/self/io, without those for this file",
        )
        bench.in_box(f"{name}: CPU", f"{one['ms']:.1f} ms", "CLOCK_PROCESS_CPUTIME_ID of clock_gettime(2)")
    bench.claim("both copies are equal to the file", looped["equal"] and sent["equal"])
    bench.claim(
        f"piece by piece takes {PIECES} reads, and one more, which meets the end", looped["reads"] == PIECES + 1
    )
    bench.claim(f"and {PIECES} writes", looped["writes"] == PIECES)
    bench.claim("sendfile(2) takes a call or two; each is counted as a read and a write", 0 < sent["reads"] < 4)
    bench.claim("and nothing else", sent["reads"] == sent["writes"])


LAB = Lab(
    question=f"{SIZE >> 20} MiB are copied in pieces of {PIECE} bytes. How many calls is that? And with sendfile?",
    answer=f"{PIECES} reads, one more that meets the end of the file, and {PIECES} writes. With sendfile(2) one call,"
    " which the kernel counts as a read and as a write.",
    control="the second copy is made with read and write, too",
    check=check,
)
