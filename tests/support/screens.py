"""A terminal with `tinybox` on it, for the tests: they read what a person would see, and type."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import struct
import subprocess
import termios
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.boxes import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Command

PROMPT = "%>"


class Screen:
    """The person's end of a pseudo-terminal, and the process that has the other end as its controlling terminal.

    *former* holds the terminal's settings from before the process began, because it may change them at any time.
    """

    def __init__(self, process: subprocess.Popen[bytes], master: int, slave: int, former: list[Any]) -> None:
        self.process, self.master, self.slave = process, master, slave
        self.former = former
        self.shown = ""

    def type(self, text: str) -> None:
        """Type *text* on the keyboard."""
        os.write(self.master, text.encode())

    def wait_for(self, text: str, seconds: float = PATIENCE) -> str:
        """Wait until *text* is on the screen; return all text before it, and drop both from `shown`."""
        deadline = time.monotonic() + seconds
        while text not in self.shown:
            if not select.select([self.master], [], [], max(0, deadline - time.monotonic()))[0]:
                pytest.fail(f"{text!r} is not on the screen after {seconds} s, but {self.shown!r}")
            self.shown += os.read(self.master, 65536).decode(errors="replace")
        before, _, self.shown = self.shown.partition(text)
        return before

    def ask(self, command: str) -> str:
        """Type a command for a shell that shows its prompt; return its output, and wait for the next prompt.

        The shell may print more before its next prompt: that a job has ended, or the output of a trap.
        """
        self.type(f"{command}; echo 'e''nd'\n")
        self.wait_for("\n")  # the echo of what was typed
        said = self.wait_for("end\r\n")
        self.wait_for(PROMPT)
        return said.replace("\r\n", "\n").strip()

    def resize(self, rows: int, columns: int) -> None:
        """Change the size of the window; the kernel sends SIGWINCH to the foreground process group."""
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("4H", rows, columns, 0, 0))

    def mode(self) -> list[Any]:
        """Return the terminal's settings, as tcgetattr(3) gives them."""
        return termios.tcgetattr(self.slave)

    def is_raw(self) -> bool:
        """Tell whether the terminal is in raw mode: no line editing, no echo, no signals from keys."""
        return not self.mode()[3] & (termios.ICANON | termios.ECHO | termios.ISIG)

    def status(self) -> int:
        """Wait for the process and return its exit status; its output is read until then."""
        deadline = time.monotonic() + PATIENCE
        while self.process.poll() is None:
            if select.select([self.master], [], [], 0.02)[0]:
                self.shown += os.read(self.master, 65536).decode(errors="replace")
            assert time.monotonic() < deadline, f"tinybox does not end; the screen shows {self.shown!r}"
        while select.select([self.master], [], [], 0)[0]:
            self.shown += os.read(self.master, 65536).decode(errors="replace")
        return self.process.returncode


def _take_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


@contextlib.contextmanager
def screen(tinybox: Command, *words: str, rows: int = 24, columns: int = 80, program: str = "") -> Iterator[Screen]:
    """Run ``tinybox WORDS`` (or *program*) on a new terminal; at the end kill it if it still runs, and sweep."""
    master, slave = os.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("4H", rows, columns, 0, 0))
    former = termios.tcgetattr(slave)
    process = subprocess.Popen(
        [program or tinybox.path, *words], stdin=slave, stdout=slave, stderr=slave, env=tinybox.environment,
        start_new_session=True, preexec_fn=_take_terminal,  # noqa: PLW1509  pytest has one thread here
    )  # fmt: skip
    try:
        yield Screen(process, master, slave, former)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(PATIENCE)
        for fd in (master, slave):
            with contextlib.suppress(OSError):
                os.close(fd)
        if process.returncode == -signal.SIGKILL:
            tinybox("images")
