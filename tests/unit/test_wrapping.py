"""Text follows the width of the terminal, and no line ends inside a word."""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
import sys
import termios

import pytest

from tinybox import wrapping

TEXT = "a pid namespace gives every process in it a second number, see pid_namespaces(7) and /proc/PID/status"


@pytest.mark.parametrize("width", [20, 40, 80, 1000])
def test_no_word_is_broken(width: int) -> None:
    """The words of the lines are those of the text, and no line is longer than the width; the indent counts."""
    lines = wrapping.wrapped(TEXT, width, "  ")
    assert " ".join(lines).split() == TEXT.split()
    assert all(len(line) <= width for line in lines)
    assert (len(lines) == 1) == (width > len(TEXT))


def test_a_word_that_is_too_long_stays_whole() -> None:
    """A path that is longer than the width is a line of its own; an empty text is one empty line."""
    assert wrapping.wrapped(f"see {'/x' * 40} now", 20) == ["see", "/x" * 40, "now"]
    assert wrapping.wrapped("", 20) == [""]


@pytest.mark.parametrize(("size", "lines"), [(80, 80), (300, 100), (10, wrapping.NARROWEST), (0, 100)])
def test_the_width_is_that_of_the_terminal(size: int, lines: int) -> None:
    """`columns` is the terminal's width, between NARROWEST and the most; a terminal without a size counts as none."""
    master, slave = os.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("4H", 24, size, 0, 0))
    program = [
        sys.executable,
        "-c",
        "import sys; from tinybox import wrapping; print(wrapping.columns(), file=sys.stderr)",
    ]
    null = subprocess.DEVNULL
    done = subprocess.run(program, stdin=null, stdout=slave, stderr=subprocess.PIPE, text=True, check=True)
    assert int(done.stderr) == lines
    # Before a pager stdout is a pipe, and stdin is the terminal.
    piped = [sys.executable, "-c", "from tinybox import wrapping; print(wrapping.columns())"]
    done = subprocess.run(piped, stdin=slave, stdout=subprocess.PIPE, stderr=null, text=True, check=True)
    assert int(done.stdout) == lines
    for fd in (master, slave):
        os.close(fd)
