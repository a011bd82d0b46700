"""Stdin, stdout and pipes: one inode on both sides, and 65536 bytes.

A pipe is a buffer in the kernel with two ends. When it is full the writer sleeps; this is the only flow control. When
no process has the read end open, a write ends the writer by SIGPIPE: so `yes | head -1` comes to an end. A pipe has no
name that a namespace could hide: the box has the same pipe that the host made.
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
from tinybox.pictures.series import Axis, Curve, Curves

if TYPE_CHECKING:
    from tinybox.lab.bench import Bench
    from tinybox.lab.box import Box

F_GETPIPE_SZ = 1032
SIGPIPE_STATUS = 128 + 13
FULL = 16 * mmap.PAGESIZE  # bytes: 65536 wherever a page has 4096; see pipe(7), "Pipe capacity"


def write_for_ever(keeps_reader: bool) -> None:
    """In the box: write without end; with *keeps_reader*, keep the pipe's read end open, too, and never read."""
    if keeps_reader:
        os.open("/proc/self/fd/1", os.O_RDONLY)
    inside.send(os.readlink("/proc/self/fd/1"))
    while True:
        inside.receive_line()
        os.write(1, b"x" * mmap.PAGESIZE)


def waiting(fd: int) -> int:
    """Return how many bytes are in a pipe; see FIONREAD in pipe(7)."""
    return int(struct.unpack("i", fcntl.ioctl(fd, termios.FIONREAD, bytes(4)))[0])


def fill(bench: Bench, box: Box, size: int) -> None:
    """Let the box write page by page, until it sleeps inside write(2); note how full the pipe is after each page."""
    points: list[tuple[float, float]] = [(0, 0)]
    while points[-1][1] < size:
        box.send_line("write")
        bench.until(lambda: waiting(box.output) > points[-1][1], "one more page in the pipe")
        points.append((len(points), waiting(box.output)))
    box.send_line("write")
    says = f"After {len(points) - 1} calls of write(2) the pipe has {points[-1][1]} bytes; its size is {size}."
    across, up, source = Axis("calls of write(2)"), Axis("bytes in the pipe"), "FIONREAD of ioctl(2), after each write"
    filled, limit = Curve("filled", points), ("its size", size)
    bench.draw(Curves("A pipe that no process reads", says, source, across, up, [filled], limit))


def check(bench: Bench, *, feature: bool) -> None:
    """Let a box write into a pipe from which no process reads, then close the read end."""
    with bench.box(write_for_ever, not feature) as box:
        box_pipe = bench.in_box("pipe", box.receive(), "readlink /proc/self/fd/1")
        host_pipe = bench.on_host(
            "pipe", os.readlink(f"/proc/self/fd/{box.output}"), f"readlink /proc/self/fd/{box.output}"
        )
        size = bench.on_host("size", fcntl.fcntl(box.output, F_GETPIPE_SZ), "F_GETPIPE_SZ of fcntl(2)")
        fill(bench, box, size)
        bench.until(lambda: "pipe_w" in look.sleeps_in(box.program), "the writer's sleep")
        full = bench.on_host("bytes in it", waiting(box.output), "FIONREAD of ioctl(2)")
        bench.on_host("the writer sleeps in", look.sleeps_in(box.program), f"/proc/{box.program}/wchan")
        box.close_stdout()
        status = box.wait() if bench.comes(box.ended, 20 if feature else 0.5) else None
        bench.on_host("status once the reader has gone", status, "waitid(2), as `tinybox run` does")
    bench.claim("both sides have the same pipe", host_pipe == box_pipe)
    bench.claim(f"the writer sleeps when {FULL} bytes are in the pipe", full == size == FULL)
    bench.claim("without a reader it ends by SIGPIPE: 141", status == SIGPIPE_STATUS)


LAB = Lab(
    question="A program in a box prints without end, and no process reads. How far does it get? And what happens when"
    " the reader closes the pipe?",
    answer=f"{FULL} bytes; then it sleeps in the kernel, in a write. When the last reader has closed the pipe, the"
    " write ends the program by signal 13: status 141.",
    control="the writer keeps the read end open itself: it sleeps on, and does not end with 141",
    check=check,
)
