"""Read single keys from the controlling terminal, whatever stdin is; the user continues the run with them."""

from __future__ import annotations

import errno
import os
import signal
import termios

from tinybox.errors import UsageError
from tinybox.isolation.terminal import restore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Self

TTY = "/dev/tty"  # the controlling terminal of this process; see tty(4)
CTRL_C, END = "\x03", ""


def check(option: str) -> None:
    """Raise UsageError if this process has no controlling terminal."""
    try:
        os.close(os.open(TTY, os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        cure = "run tinybox on a terminal; --explain needs none"
        raise UsageError(option, "there is no terminal to read keys from", cure) from error


class Keyboard:
    """The terminal, open while it is entered; Ctrl-C is a key like others, also while key() is not called."""

    def __enter__(self) -> Self:
        self.fd = os.open(TTY, os.O_RDWR | os.O_CLOEXEC)
        self._interrupted = self._waiting = False
        self._former = signal.signal(signal.SIGINT, self._interrupt)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self._former)
        os.close(self.fd)

    def write(self, text: str) -> None:
        """Write *text* to the terminal; do nothing if it was closed (EIO), which `key` reports; see tty(4)."""
        try:
            os.write(self.fd, text.encode(errors="backslashreplace"))
        except OSError as error:
            if error.errno != errno.EIO:
                raise

    def key(self) -> str:
        """Wait for one key, without Enter, and return it; see termios(3).

        CTRL_C is returned also if Ctrl-C came before, and if the terminal was closed.
        """
        try:
            former, single_keys = termios.tcgetattr(self.fd), termios.tcgetattr(self.fd)
        except termios.error:
            return CTRL_C
        single_keys[3] &= ~(termios.ICANON | termios.ECHO)
        try:
            self._waiting = True  # from now on Ctrl-C raises; only then check for an earlier one, so that none is lost
            if self._interrupted:
                self._interrupted = False
                return CTRL_C
            termios.tcsetattr(self.fd, termios.TCSADRAIN, single_keys)
            return os.read(self.fd, 1).decode(errors="replace") or CTRL_C  # end of file: the terminal was closed
        except (KeyboardInterrupt, OSError, termios.error):
            return CTRL_C
        finally:
            self._waiting = False
            restore(self.fd, former)

    def lend(self, arguments: list[str], environment: dict[str, str]) -> None:
        """Run another program on the terminal, and take the terminal back from its process groups; see tcsetpgrp(3)."""
        import subprocess

        subprocess.run(arguments, stdin=self.fd, stdout=self.fd, stderr=self.fd, env=environment, check=False)
        former = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        os.tcsetpgrp(self.fd, os.getpgrp())
        signal.signal(signal.SIGTTOU, former)
        self._interrupted = False

    def _interrupt(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002  the signature of a handler
        if self._waiting:
            raise KeyboardInterrupt
        self._interrupted = True
