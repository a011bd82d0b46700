"""The relay: the program gets pipes in place of tinybox's terminal (without -t), and tinybox copies the bytes.

A process that has a terminal open may read what is typed there, also later and in the background; it may change the
settings of the terminal and, with CAP_SYS_ADMIN, insert commands into its input (TIOCSTI). So a box never gets the
host's terminal. Streams that are pipes or files are passed to the program directly, except one that its user may not
open (planning/streams.py). See tty(4); runc's terminals.md gives the same reasons.
"""

from __future__ import annotations

import os
import select
import time

from tinybox.container.process import user_streams
from tinybox.isolation import terminal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from tinybox.container.process.handles import Handles
    from tinybox.container.process.wait_loop import WaitLoop

PATIENCE = 2.0  # seconds after the program's end for output of processes that it has left running, as docker waits
BACKGROUND = 0.5  # seconds between two tries to read the terminal while tinybox is in the background
_CHUNK = 65536


def make_pipes(handles: Handles) -> None:
    """Make a pipe for each stream that the program does not get itself; the child gets the other ends; see pipe(2)."""
    handles.relay = relay = Relay(handles.streams, handles.relayed)
    handles.streams = relay.streams


class Relay:
    """The pipes between one program and tinybox's terminal or files: *streams* whose number is in *relayed*."""

    def __init__(self, streams: tuple[int, int, int], relayed: Sequence[int]) -> None:
        self.keyboard, self.input = streams[0], -1
        self.outputs: dict[int, int] = {}  # from the fd of a pipe's reading end to the fd that gets its bytes
        self.typed, self.hung_up = b"", False
        ends = list(streams)
        for number in relayed:
            if number == 0:
                ends[0], self.input = os.pipe()
            elif number == 2 and 1 in relayed and _file(streams[1]) == _file(streams[2]):
                ends[2] = ends[1]  # stdout and stderr are one terminal or file: one pipe keeps the order of their bytes
            else:
                reading, ends[number] = os.pipe()
                self.outputs[reading] = streams[number]
        self.streams = (ends[0], ends[1], ends[2])
        self._program_ends = {ends[number] for number in relayed}

    def carry(self, watching: WaitLoop) -> None:
        """Copy bytes in both directions until the program ends, then the rest of its output."""
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
        """Close tinybox's copies of the program's ends, because a pipe ends when its last writing end is closed."""
        for fd in self._program_ends:
            os.close(fd)
        self._program_ends = set()

    def show(self, fd: int) -> int:
        """Copy bytes from the pipe *fd* to its target, and return how many.

        If the target is a terminal that is gone, a pipe without a reader, or a file on a full disk, close the pipe: the
        program gets SIGPIPE, as it would with the target itself. A container without --rm has no relay, and goes on.
        """
        try:
            shown = os.read(fd, _CHUNK)
        except BlockingIOError:
            return 0
        try:
            user_streams.write(self.watching, self.outputs[fd], shown)
        except OSError:
            shown = b""
        if not shown:
            self.watching.ignore(fd)
            del self.outputs[fd]
            os.close(fd)
        return len(shown)

    def _show_the_rest(self) -> None:
        """Copy all bytes that were in the pipes when the program ended, and for PATIENCE what other processes write.

        If a process that is left running writes to the pipe later, it gets SIGPIPE, as with docker. Nothing more is
        read for a stream that takes nothing now.
        """
        unread = {fd: user_streams.unread(fd) for fd in self.outputs}
        deadline = time.monotonic() + PATIENCE
        while True:
            left = max(0.0, deadline - time.monotonic())
            stalled = self.watching.handles.unwritten
            wanted = [fd for fd, to in self.outputs.items() if unread[fd] > 0 or (left and to not in stalled)]
            if not wanted:
                return
            for fd in select.select(wanted, [], [], left)[0]:
                unread[fd] -= self.show(fd)

    def type_in(self) -> None:
        """Copy typed bytes to the program; Ctrl-D at the beginning of a line ends the program's stdin; see tty(4)."""
        try:
            typed = os.read(self.keyboard, _CHUNK)
        except OSError:  # EIO: the terminal is gone, or tinybox is in the background and may not read it
            self.watching.ignore(self.keyboard)
            if terminal.in_background(self.keyboard):
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
        """Write typed bytes to the pipe; while the pipe is full, do not read from the terminal; see pipe(7)."""
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
        """Close the pipe to the program, which then reads the end of its stdin."""
        self.watching.ignore(self.keyboard)
        self.watching.ignore(self.input)
        os.close(self.input)
        self.input, self.typed = -1, b""

    def close(self) -> None:
        """Close every end of the pipes that is still open."""
        self._hand_over()
        for fd in [*self.outputs, *({self.input} - {-1})]:
            os.close(fd)
        self.outputs, self.input = {}, -1


def _file(fd: int) -> tuple[int, int]:
    """Return what identifies the terminal or the file *fd*; a terminal may have several names, as /dev/tty is one."""
    info = os.fstat(fd)
    return (0, info.st_rdev) if info.st_rdev else (info.st_dev, info.st_ino)
