"""Output that nobody reads, and output that never ends: neither keeps a container from its end."""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
import termios
import time
from typing import TYPE_CHECKING

import pytest

from tests.support.boxes import PATIENCE, new_name, until
from tests.support.detached_boxes import FOREVER, life, stdout_of
from tests.support.slowness import SLOWNESS

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

    from tests.conftest import Command

pytestmark = pytest.mark.root

SOON = 15.0 * SLOWNESS  # seconds
LEFT = "trap '' HUP; yes & exit 3"  # a process that writes for ever, and is not ended by the end of its parent


@contextlib.contextmanager
def unread(tinybox: Command, *words: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Give a command whose stdout is a full pipe, and the end of it from which nobody has read."""
    reading, writing = os.pipe()
    with tinybox.start(*words, stdout=writing) as process:
        os.close(writing)
        try:
            until(lambda: is_full(reading))
            yield process, reading
        finally:
            os.close(reading)


def is_full(reading: int) -> bool:
    """Tell whether a pipe has bytes, and gets no more; how many there is room for depends on their pieces."""
    before = waiting(reading)
    time.sleep(0.3 * SLOWNESS)
    return 0 < before == waiting(reading)


def waiting(reading: int) -> int:
    """Return how many bytes are in a pipe."""
    return int(struct.unpack("i", fcntl.ioctl(reading, termios.FIONREAD, bytes(4)))[0])


def rest(reading: int) -> str:
    """Return what is left to read."""
    parts = []
    while part := os.read(reading, 1 << 16):
        parts.append(part)
    return b"".join(parts).decode()


@pytest.mark.parametrize("options", [(), ("-t",)], ids=["pipes", "terminal"])
def test_a_box_whose_output_nobody_reads_is_stopped(tinybox: Command, options: tuple[str, ...]) -> None:
    """`stop` does not wait for the reader; who reads later gets all that the log has, and the command ends."""
    name = new_name()
    with unread(tinybox, "run", *options, "--name", name, "busybox", "yes") as (process, reading):
        try:
            assert stdout_of(tinybox, "stop", "-t", "1", name) == f"{name}\n"
            assert stdout_of(tinybox, "inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", name) == "exited 143\n"
            assert process.poll() is None
            assert rest(reading).replace("\r", "") == stdout_of(tinybox, "logs", name)
            assert process.wait(PATIENCE) == 143
        finally:
            tinybox("rm", "-f", name)


def test_a_passing_box_whose_output_nobody_reads_is_removed(tinybox: Command) -> None:
    """`rm -f` of a box of `run --rm -t` does not wait for the reader either."""
    name = new_name()
    with unread(tinybox, "run", "--rm", "-t", "--name", name, "busybox", "yes") as (process, reading):
        assert stdout_of(tinybox, "rm", "-f", name) == f"{name}\n"
        assert name not in stdout_of(tinybox, "ps", "-a", "--format", "{{.Names}}").split()
        assert set(rest(reading).split()) == {"y"}
        assert process.wait(PATIENCE) == 137


def test_an_exec_whose_output_nobody_reads_delays_no_end_of_the_box(tinybox: Command) -> None:
    """The box has ended when all its processes are reaped: `exec` reaps its own before it writes the rest."""
    with life(tinybox, "busybox", *FOREVER) as it, unread(tinybox, "exec", "-t", it.name, "yes") as (process, reading):
        assert stdout_of(tinybox, "stop", it.name) == f"{it.name}\n"
        assert it.shown("{{.State.ExitCode}}") == "7"
        assert set(rest(reading).split()) == {"y"}
        assert process.wait(PATIENCE) == 137


def test_a_signal_ends_a_command_that_writes_the_rest(tinybox: Command) -> None:
    """The container is stopped, and nobody will read: TERM ends the command, with the status of the container."""
    name = new_name()
    with unread(tinybox, "run", "--name", name, "busybox", "yes") as (process, _):
        try:
            stdout_of(tinybox, "stop", "-t", "1", name)
            process.terminate()
            assert process.wait(PATIENCE) == 143
        finally:
            tinybox("rm", "-f", name)


@pytest.mark.parametrize("options", [("-d",), (), ("-t",), ("--rm", "-t")], ids=" ".join)
def test_a_process_that_is_left_writes_for_ever(tinybox: Command, options: tuple[str, ...]) -> None:
    """With --pid host the end of the first process does not end the others: the box ends, and they with it."""
    name = new_name()
    words = ("run", *options, "--pid", "host", "--name", name, "busybox", "sh", "-c", LEFT)
    try:
        done = tinybox(*words, timeout=SOON)
        assert done.returncode == (0 if "-d" in options else 3), done.stderr
        if "--rm" not in options:
            assert tinybox("wait", name, timeout=SOON).stdout == "3\n"
    finally:
        tinybox("rm", "-f", name)
