"""The user's streams: the program's output is written to them as fast as they take it, until the program has ended.

A stream may take nothing for a long time: Ctrl-S on a terminal, ``| less``. While the program runs, tinybox waits for
it, and the program waits for tinybox, as in a pipeline. When the program has ended, the owner first records that, and
the parent of a process in a box first reaps it; only then they write what is left. So `stop` and `rm -f` wait for no
reader.
"""

from __future__ import annotations

import fcntl
import os
import select
import struct

from tinybox.linux.signals import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from tinybox.container.process.handles import Handles

    class Signals(Protocol):
        """wait_loop.Signals, of a file that imports this one."""

        fd: int

        def pending(self) -> list[int]:
            """Return the numbers of the signals that have arrived."""

    class WaitLoop(Protocol):
        """What this file uses of wait_loop.WaitLoop."""

        handles: Handles

        @property
        def signals(self) -> Signals:
            """The signals that it reads."""

        def survives(self, act: Callable[[], object]) -> bool:
            """Call *act*, and keep its error."""

        def forward_signals(self) -> None:
            """Send pending signals to the program."""


# What a terminal or a pipe holds, unless the program has enlarged it. After the program's end, tinybox reads at most so
# much of the output of other processes: one that is left running may write for ever.
MOST = 1 << 17
_FIONREAD = 0x541B
_PIECE = select.PIPE_BUF  # bytes; a pipe that has room has room for so many
_ENDING = {signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM}


def write(watching: WaitLoop, fd: int, data: bytes) -> None:
    """Write *data* to the user's stream *fd*; keep in ``Handles.unwritten`` what it takes only after the program's end.

    Signals are forwarded meanwhile. OSError: the stream takes no more; see write(2).
    """
    rest = watching.handles.unwritten
    while data and fd not in rest and _has_room(watching, fd):
        data = data[_written(fd, data) :]
    if data:
        rest[fd] = rest.get(fd, b"") + data


def _has_room(watching: WaitLoop, fd: int) -> bool:
    """Wait until *fd* has room, or fails; False: the program has ended before. See poll(2)."""
    poll, pidfd, signals = select.poll(), watching.handles.pidfd, watching.signals.fd
    poll.register(fd, select.POLLOUT)
    poll.register(pidfd, select.POLLIN)
    poll.register(signals, select.POLLIN)
    while fd not in (ready := dict(poll.poll())):
        if signals in ready:
            watching.survives(watching.forward_signals)
        if pidfd in ready:
            return False
    return True


def _written(fd: int, data: bytes) -> int:
    try:
        return os.write(fd, data[:_PIECE])
    except BlockingIOError:  # another process that has this stream open has set O_NONBLOCK, and was faster
        return 0


def unread(fd: int) -> int:
    """Return how many bytes are in the pipe *fd*; see FIONREAD in pipe(7)."""
    return int(struct.unpack("i", fcntl.ioctl(fd, _FIONREAD, bytes(4)))[0])


def write_rest(handles: Handles, signals: Signals) -> None:
    """Write what is left for the user's streams, and wait as long as that takes; a signal such as SIGTERM ends it."""
    for fd in [*handles.unwritten]:
        data, poll = handles.unwritten.pop(fd), select.poll()
        poll.register(fd, select.POLLOUT)
        poll.register(signals.fd, select.POLLIN)
        while data:
            ready = dict(poll.poll())
            if signals.fd in ready and _ENDING.intersection(signals.pending()):
                return
            try:
                data = data[_written(fd, data) :] if fd in ready else data
            except OSError:  # EPIPE: its reader has ended
                break
