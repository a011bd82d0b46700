"""Pipes in the place of our terminal, where the program has none of its own: what it says comes out here, and we type.

A process that holds a terminal may read what is typed at it, also later and in the background, may change its settings
and, with CAP_SYS_ADMIN, type commands at it (TIOCSTI). So a box never gets a terminal of ours: we carry the bytes.
Streams that are pipes or files are handed over as they are. See tty(4), and terminals.md of runc for its reasons.
"""

from __future__ import annotations

import fcntl
import os
import select
import struct
import time

from tinybox.container.process import wait_loop

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from tinybox.container.process.handles import Handles
    from tinybox.container.process.wait_loop import WaitLoop

PATIENCE = 2.0  # seconds after the program's end for what it has left running and may still speak, as docker waits
BACKGROUND = 0.5  # seconds between two looks whether we have come to the foreground, where a terminal may be read
_CHUNK = 65536
_FIONREAD = 0x541B


def lay(handles: Handles) -> None:
    """Make a pipe for each stream that is a terminal of ours; the child gets their other ends; see pipe(2)."""
    handles.relay = relay = Relay(handles.streams, handles.terminals)
    handles.streams = relay.streams


class Relay:
    """The pipes between our terminal, which is some of the *streams*, and one program."""

    def __init__(self, streams: tuple[int, int, int], terminals: Sequence[int]) -> None:
        self.keyboard, self.input = streams[0], -1
        self.outputs: dict[int, int] = {}  # a pipe's end that we read, and the terminal on which we show it
        self.typed, self.hung_up = b"", False
        ends = list(streams)
        for number in terminals:
            if number == 0:
                ends[0], self.input = os.pipe()
            elif number == 2 and 1 in terminals and _device(streams[1]) == _device(streams[2]):
                ends[2] = ends[1]  # one pipe for one terminal: what was said first is shown first
            else:
                ours, ends[number] = os.pipe()
                self.outputs[ours] = streams[number]
        self.streams = (ends[0], ends[1], ends[2])
        self._theirs = {ends[number] for number in terminals}

    def carry(self, watching: WaitLoop) -> None:
        """Carry everything both ways until the program ends, and then what it has said last."""
        self.watching = watching
        self._hand_over()
        for fd in self.outputs:
            os.set_blocking(fd, False)
            watching.listen(fd, lambda fd=fd: self.show(fd))  # type: ignore[misc]
        if self.input >= 0:
            os.set_blocking(self.input, False)
            watching.listen(self.keyboard, self.type_in)
        watching.until_the_end()
        self._show_the_rest()

    def _hand_over(self) -> None:
        """Close the program's ends, which it has now: a pipe is at its end when all its writers are gone."""
        for fd in self._theirs:
            os.close(fd)
        self._theirs = set()

    def show(self, fd: int) -> int:
        """Show what has come through the pipe *fd*; return how much. If the terminal has gone, the pipe goes, too."""
        try:
            shown = os.read(fd, _CHUNK)
            wait_loop.write_all(self.outputs[fd], shown)
        except BlockingIOError:
            return 0
        except OSError:  # EIO: nobody has the other end of the terminal any more
            shown = b""
        if not shown:
            self.watching.ignore(fd)
            del self.outputs[fd]
            os.close(fd)
        return len(shown)

    def _show_the_rest(self) -> None:
        """Show all that was in the pipes when the program ended, and for a while what other processes write to them.

        A process that is left running and writes to the pipe afterwards gets SIGPIPE, as in docker.
        """
        owed = {fd: _unread(fd) for fd in self.outputs}
        deadline = time.monotonic() + PATIENCE
        while self.outputs:
            left = deadline - time.monotonic()
            if left <= 0 and not any(owed[fd] > 0 for fd in self.outputs):
                return
            for fd in select.select(list(self.outputs), [], [], max(0.0, left))[0]:
                owed[fd] -= self.show(fd)

    def type_in(self) -> None:
        """Take what was typed and carry it to the program; Ctrl-D at the beginning of a line is its end; see tty(4)."""
        try:
            typed = os.read(self.keyboard, _CHUNK)
        except OSError:  # EIO: the terminal has gone, or we are in the background and it is somebody else's
            self.watching.ignore(self.keyboard)
            if _in_background(self.keyboard):
                self.watching.after(BACKGROUND, self._listen_again)
            else:
                self._hang_up()
            return
        self.typed += typed
        if not typed:
            self.hung_up = True
            self.watching.ignore(self.keyboard)
        self.carry_typed()

    def carry_typed(self) -> None:
        """Write what is typed to the pipe; while that takes no more, nothing is read from the terminal; see pipe(7)."""
        try:
            while self.typed:
                self.typed = self.typed[os.write(self.input, self.typed) :]
        except BlockingIOError:
            self.watching.ignore(self.keyboard)
            self.watching.listen(self.input, self.carry_typed, select.POLLOUT)
            return
        except OSError:  # EPIPE: the program has closed its stdin
            self.hung_up = True
        if self.hung_up:
            self._hang_up()
        else:
            self.watching.ignore(self.input)
            self._listen_again()

    def _listen_again(self) -> None:
        if self.input >= 0:
            self.watching.listen(self.keyboard, self.type_in)

    def _hang_up(self) -> None:
        """Let the program read the end of its stdin."""
        self.watching.ignore(self.keyboard)
        self.watching.ignore(self.input)
        os.close(self.input)
        self.input, self.typed = -1, b""

    def close(self) -> None:
        """Close what is open of the pipes."""
        self._hand_over()
        for fd in [*self.outputs, *({self.input} - {-1})]:
            os.close(fd)
        self.outputs, self.input = {}, -1


def _device(fd: int) -> int:
    return os.fstat(fd).st_rdev


def _unread(fd: int) -> int:
    """Return how many bytes are in the pipe *fd*; see FIONREAD in pipe(7)."""
    return int(struct.unpack("i", fcntl.ioctl(fd, _FIONREAD, bytes(4)))[0])


def _in_background(terminal: int) -> bool:
    """Tell whether *terminal* is ours, and another process group's turn; see tcgetpgrp(3)."""
    try:
        return os.tcgetpgrp(terminal) != os.getpgrp()
    except OSError:
        return False
