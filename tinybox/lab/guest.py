"""A process in the hands of a lab: two pipes to talk with it, a pidfd to wait for its end, and an end in any case.

A pipe carries lines both ways, so neither side guesses when the other is ready: it is told.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
from typing import TYPE_CHECKING, NamedTuple

from tinybox.errors import TinyboxError
from tinybox.lab import inside
from tinybox.linux import process

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

PATIENCE = 50.0  # seconds


class Done(NamedTuple):
    """What a program in a box came to: its exit status, as ``$?`` shows it, and all that it printed."""

    status: int
    output: str


class Streams:
    """Two pipes: what we say goes to the program's stdin, what it prints (errors, too) comes to us; see pipe(2).

    *input* and *output* are our ends of the two.
    """

    def __init__(self) -> None:
        self.stdin, self.input = os.pipe()
        self.output, self.stdout = os.pipe()
        self._open = {self.stdin, self.input, self.output, self.stdout}
        self._heard = b""

    def hand_over(self) -> None:
        """Close the program's ends, which it has now."""
        self.close(self.stdin, self.stdout)

    def close(self, *fds: int) -> None:
        """Close these of ours that are still open; all without arguments."""
        for fd in set(fds or self._open) & self._open:
            os.close(fd)
            self._open.discard(fd)

    def say(self, text: str) -> None:
        """Write *text* and the end of a line to its stdin."""
        os.write(self.input, text.encode() + b"\n")

    def says(self) -> bool:
        """Tell whether it has said something that we have not heard yet; see select(2)."""
        return bool(self._heard or select.select([self.output], [], [], 0)[0])

    def hang_up(self) -> None:
        """Close its stdin: it reads the end of the file."""
        self.close(self.input)

    def turn_away(self) -> None:
        """Close our end of its stdout: nobody reads what it prints."""
        self.close(self.output)

    def line(self, seconds: float = PATIENCE) -> str:
        """Return the next line that it prints; TinyboxError if none comes."""
        while b"\n" not in self._heard:
            if not self._more(seconds):
                raise TinyboxError("a program of the lab", "ended without a word", self._heard.decode(errors="replace"))
        line, _, self._heard = self._heard.partition(b"\n")
        return line.decode(errors="replace")

    def hear(self, seconds: float = PATIENCE) -> Any:
        """Return what the next line says in JSON; TinyboxError if it tells of an exception."""
        line = self.line(seconds)
        try:
            said = json.loads(line)
        except ValueError as error:
            raise TinyboxError("a program of the lab", f"has said something else than JSON: {line[:200]}") from error
        if isinstance(said, dict) and inside.ERROR in said:
            raise TinyboxError("a function of the lab", said[inside.ERROR])
        return said

    def rest(self, seconds: float = PATIENCE) -> str:
        """Return all that it prints until nobody has its stdout open any more."""
        while self._more(seconds):
            continue
        said, self._heard = self._heard, b""
        return said.decode(errors="replace")

    def _more(self, seconds: float) -> bool:
        if not select.select([self.output], [], [], seconds)[0]:
            raise TinyboxError("a program of the lab", f"has said nothing for {seconds:.0f} s")
        piece = os.read(self.output, 65536)
        self._heard += piece
        return bool(piece)


class Guest(Streams):
    """A child of ours with its streams: on the host, or in a box that it has joined."""

    def __init__(self) -> None:
        super().__init__()
        self.pid = self.pidfd = -1
        self.master = -1  # our end of its terminal, where it has one
        self._status: int | None = None

    def ended(self) -> bool:
        """Tell whether it has ended; see pidfd_open(2)."""
        return bool(select.select([self.pidfd], [], [], 0)[0])

    def wait(self, seconds: float = PATIENCE) -> int:
        """Return its exit status as ``$?`` shows it, 128+N for signal N; TinyboxError if it does not end."""
        if self._status is None:
            if not select.select([self.pidfd], [], [], seconds)[0]:
                raise TinyboxError(f"process {self.pid}", f"has not ended in {seconds:.0f} s")
            result = os.waitid(os.P_PIDFD, self.pidfd, os.WEXITED)
            self._status = 0 if result is None else result.si_status
            if result is not None and result.si_code != os.CLD_EXITED:
                self._status += 128
        return self._status

    def send(self, number: int) -> None:
        """Send it a signal; see pidfd_send_signal(2)."""
        signal.pidfd_send_signal(self.pidfd, number)

    def end(self) -> None:
        """End it for good, if it has not ended, and close what is open."""
        if self.pidfd >= 0:
            if self._status is None:
                with contextlib.suppress(ProcessLookupError):
                    self.send(signal.SIGKILL)
                self.wait()
            os.close(self.pidfd)
            self.pidfd = -1
        self.lose_terminal()
        self.close()

    def lose_terminal(self) -> None:
        """Close our end of its terminal, as a window does that is closed: the kernel sends SIGHUP; see pty(7)."""
        if self.master >= 0:
            os.close(self.master)
            self.master = -1


def fork(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Guest:
    """Run *function* in a child of ours on the host; it dies with us; see fork(2)."""
    guest = Guest()
    guest.pid = os.fork()
    if guest.pid == 0:
        process.set_parent_death_signal(signal.SIGKILL)
        os.dup2(guest.stdin, 0)
        for fd in (1, 2):
            os.dup2(guest.stdout, fd)
        guest.close()
        inside.perform(function, arguments)
    guest.pidfd = os.pidfd_open(guest.pid)
    guest.hand_over()
    return guest
