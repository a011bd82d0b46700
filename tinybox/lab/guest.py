"""A guest: a process that a lab starts in a box or on the host, with two pipes to it and a pidfd to wait for its end.

Lab and guest send lines through the pipes, so each side knows when the other is ready and does not have to guess. A
guest on the host is killed when the process of the lab dies.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import signal
import sys
import termios
from typing import TYPE_CHECKING, NamedTuple

from tinybox.errors import TinyboxError
from tinybox.lab import inside
from tinybox.linux import process

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

PATIENCE = 50.0  # seconds


class Done(NamedTuple):
    """The result of a program in a box: its exit status, as ``$?`` shows it, and all that it printed."""

    status: int
    output: str


class Streams:
    """Two pipes: one to the program's stdin, one from its stdout and stderr; see pipe(2).

    *input* and *output* are the lab's ends of the two, *stdin* and *stdout* are the program's.
    """

    def __init__(self) -> None:
        self.stdin, self.input = os.pipe()
        self.output, self.stdout = os.pipe()
        self._open = {self.stdin, self.input, self.output, self.stdout}
        self._buffer = b""

    def hand_over(self) -> None:
        """Close the program's ends in this process; the program has copies of them."""
        self.close(self.stdin, self.stdout)

    def close(self, *fds: int) -> None:
        """Close those of *fds* that are still open in this process; without arguments, all."""
        for fd in set(fds or self._open) & self._open:
            os.close(fd)
            self._open.discard(fd)

    def send_line(self, text: str) -> None:
        """Write *text* and a newline to the program's stdin."""
        os.write(self.input, text.encode() + b"\n")

    def has_output(self) -> bool:
        """Return whether the program has printed something that is not read yet; see FIONREAD in pipe(7).

        At end of file it is False: select(2) would report that as well, a moment before the process has ended.
        """
        waiting = bytearray(4)
        fcntl.ioctl(self.output, termios.FIONREAD, waiting)
        return bool(self._buffer) or int.from_bytes(waiting, sys.byteorder) > 0

    def close_stdin(self) -> None:
        """Close the lab's end of the program's stdin: the program reads end of file."""
        self.close(self.input)

    def close_stdout(self) -> None:
        """Close the lab's end of the program's stdout: its writes now raise SIGPIPE; see pipe(7)."""
        self.close(self.output)

    def read_line(self, seconds: float = PATIENCE) -> str:
        """Return the next line that the program prints; TinyboxError if it ends or prints nothing for *seconds*."""
        while b"\n" not in self._buffer:
            if not self._more(seconds):
                rest = self._buffer.decode(errors="replace")
                raise TinyboxError("a program of the lab", "ended before it had printed a line", rest)
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line.decode(errors="replace")

    def receive(self, seconds: float = PATIENCE) -> Any:
        """Return the value of the next line, which is JSON; TinyboxError if it reports an exception."""
        line = self.read_line(seconds)
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise TinyboxError("a program of the lab", f"has printed a line that is not JSON: {line[:200]}") from error
        if isinstance(value, dict) and inside.ERROR in value:
            raise TinyboxError("a function of the lab", value[inside.ERROR])
        return value

    def read_all(self, seconds: float = PATIENCE) -> str:
        """Return all that the program prints until its stdout is closed in all processes."""
        while self._more(seconds):
            continue
        printed, self._buffer = self._buffer, b""
        return printed.decode(errors="replace")

    def _more(self, seconds: float) -> bool:
        if not select.select([self.output], [], [], seconds)[0]:
            raise TinyboxError("a program of the lab", f"has printed nothing for {seconds:.0f} s")
        piece = os.read(self.output, 65536)
        self._buffer += piece
        return bool(piece)


class Guest(Streams):
    """A child of the lab's process, with its streams: on the host, or in a box that it has joined."""

    def __init__(self) -> None:
        super().__init__()
        self.pid = self.pidfd = -1
        self.master = -1  # the lab's end of its terminal, if it has one
        self._status: int | None = None

    def ended(self) -> bool:
        """Return whether the process has ended; see pidfd_open(2)."""
        return bool(select.select([self.pidfd], [], [], 0)[0])

    def lives(self) -> bool:
        """Return whether the process has not ended yet; False after end(), too."""
        return self.pidfd >= 0 and not self.ended()

    def wait(self, seconds: float = PATIENCE) -> int:
        """Return the exit status as ``$?`` shows it, 128+N for signal N; TinyboxError if it does not end in time."""
        if self._status is None:
            if not select.select([self.pidfd], [], [], seconds)[0]:
                raise TinyboxError(f"process {self.pid}", f"has not ended in {seconds:.0f} s")
            result = os.waitid(os.P_PIDFD, self.pidfd, os.WEXITED)
            self._status = 0 if result is None else result.si_status
            if result is not None and result.si_code != os.CLD_EXITED:
                self._status += 128
        return self._status

    def send_signal(self, number: int) -> None:
        """Send the process a signal; see pidfd_send_signal(2)."""
        signal.pidfd_send_signal(self.pidfd, number)

    def end(self) -> None:
        """Kill the process if it has not ended, wait for it, and close all descriptors."""
        if self.pidfd >= 0:
            if self._status is None:
                with contextlib.suppress(ProcessLookupError):
                    self.send_signal(signal.SIGKILL)
                self.wait()
            os.close(self.pidfd)
            self.pidfd = -1
        self.lose_terminal()
        self.close()

    def lose_terminal(self) -> None:
        """Close the lab's end of its terminal, as a closed window does: the kernel sends SIGHUP; see pty(7)."""
        if self.master >= 0:
            os.close(self.master)
            self.master = -1


def fork(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Guest:
    """Run *function* in a child on the host, which is killed when this process dies; see fork(2)."""
    guest = Guest()
    parent = os.getpid()
    guest.pid = os.fork()
    if guest.pid == 0:
        process.set_parent_death_signal(signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)  # the parent was killed before that call, and the signal is not sent afterwards
        os.dup2(guest.stdin, 0)
        for fd in (1, 2):
            os.dup2(guest.stdout, fd)
        guest.close()
        inside.perform(function, arguments)
    guest.pidfd = os.pidfd_open(guest.pid)
    guest.hand_over()
    return guest
