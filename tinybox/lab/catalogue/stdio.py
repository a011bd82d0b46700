"""Stdin, stdout and pipes: one inode on both sides, and 65536 bytes.

A pipe is a buffer in the kernel with two ends. When it is full the writer sleeps, and that is all the flow control
there is; when nobody is left who could read, a write ends the writer by SIGPIPE: so `yes | head -1` comes to an end.
A pipe has no name that a namespace could hide: the box holds the very one that the host made.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
import termios
from typing import TYPE_CHECKING

from tinybox.lab import inside, look
from tinybox.lab.course import Lab

if TYPE_CHECKING:
    from tinybox.lab.bench import Bench

F_GETPIPE_SZ = 1032
SIGPIPE_STATUS = 128 + 13
FULL = 16 * mmap.PAGESIZE  # bytes: 65536 wherever a page has 4096; see pipe(7), "Pipe capacity"


def write_for_ever(keeps_reader: bool) -> None:
    """In the box: write and write; with *keeps_reader*, hold the pipe's other end open, too, and never read it."""
    if keeps_reader:
        os.open("/proc/self/fd/1", os.O_RDONLY)
    inside.tell(os.readlink("/proc/self/fd/1"))
    inside.listen()
    while True:
        os.write(1, b"x" * 4096)


def waiting(fd: int) -> int:
    """Return how many bytes lie in a pipe; see FIONREAD in pipe(7)."""
    return int(struct.unpack("i", fcntl.ioctl(fd, termios.FIONREAD, bytes(4)))[0])


def check(bench: Bench, *, feature: bool) -> None:
    """Let a box write into a pipe that nobody reads, then take its reader away."""
    with bench.box(write_for_ever, not feature) as box:
        theirs = bench.in_box("pipe", box.hear(), "readlink /proc/self/fd/1")
        box.say("write")
        ours = bench.on_host("pipe", os.readlink(f"/proc/self/fd/{box.output}"), f"readlink /proc/self/fd/{box.output}")
        size = bench.on_host("size", fcntl.fcntl(box.output, F_GETPIPE_SZ), "F_GETPIPE_SZ of fcntl(2)")
        bench.until(lambda: waiting(box.output) >= size and look.state(box.program) == "S", "the writer's sleep")
        full = bench.on_host("bytes in it", waiting(box.output), "FIONREAD of ioctl(2)")
        bench.on_host("the writer sleeps in", look.sleeps_in(box.program), f"/proc/{box.program}/wchan")
        box.turn_away()
        status = box.wait() if bench.comes(box.ended, 20 if feature else 0.5) else None
        bench.on_host("status once the reader has gone", status, "waitid(2), as `tinybox run` does")
    bench.claim("both sides hold one and the same pipe", ours == theirs)
    bench.claim(f"the writer sleeps once {FULL} bytes lie there", full == size == FULL)
    bench.claim("without a reader it ends by SIGPIPE: 141", status == SIGPIPE_STATUS)


LAB = Lab(
    question="A program in a box prints without end, and nobody reads. How far does it get? And if the reader goes?",
    answer=f"{FULL} bytes; then it sleeps in the kernel, at no cost. When the last reader has gone, the write ends it"
    " by signal 13: status 141.",
    control="the writer keeps the read end open itself: it sleeps on, and 141 never comes",
    check=check,
)
