"""One key at a time from the terminal, whatever stdin is: a person decides there when it goes on."""

from __future__ import annotations

import os
import signal
import termios

from tinybox.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Self

TTY = "/dev/tty"  # the controlling terminal of this process; see tty(4)
CTRL_C, END = "\x03", ""


def check(option: str) -> None:
    """Raise UsageError where there is no terminal at which to ask."""
    try:
        os.close(os.open(TTY, os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        cure = "run it on one; --explain needs none"
        raise UsageError(option, "there is no terminal to ask at", cure) from error


class Keyboard:
    """The terminal, while this is entered; Ctrl-C is a key like others, also when nobody waits for one."""

    def __enter__(self) -> Self:
        self.fd = os.open(TTY, os.O_RDWR | os.O_CLOEXEC)
        self._interrupted = self._waiting = False
        self._former = signal.signal(signal.SIGINT, self._interrupt)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self._former)
        os.close(self.fd)

    def write(self, text: str) -> None:
        """Write *text* to the terminal; see tty(4)."""
        os.write(self.fd, text.encode(errors="backslashreplace"))

    def key(self) -> str:
        """Wait for one key, with no Enter behind it; CTRL_C also for one that came before; see termios(3)."""
        former = termios.tcgetattr(self.fd)
        wanted = termios.tcgetattr(self.fd)
        wanted[3] &= ~(termios.ICANON | termios.ECHO)
        try:
            self._waiting = True  # from here on Ctrl-C raises; so what came before is looked for afterwards
            if self._interrupted:
                self._interrupted = False
                return CTRL_C
            termios.tcsetattr(self.fd, termios.TCSADRAIN, wanted)
            return os.read(self.fd, 1).decode(errors="replace")
        except KeyboardInterrupt:
            return CTRL_C
        finally:
            self._waiting = False
            termios.tcsetattr(self.fd, termios.TCSADRAIN, former)

    def lend(self, words: list[str], environment: dict[str, str]) -> None:
        """Let another program have the terminal until it ends; it may have made groups of its own: tcsetpgrp(3)."""
        import subprocess

        subprocess.run(words, stdin=self.fd, stdout=self.fd, stderr=self.fd, env=environment, check=False)
        former = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        os.tcsetpgrp(self.fd, os.getpgrp())
        signal.signal(signal.SIGTTOU, former)
        self._interrupted = False

    def _interrupt(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002  the signature of a handler
        if self._waiting:
            raise KeyboardInterrupt
        self._interrupted = True
