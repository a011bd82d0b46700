"""Who watches a container: signals go in, what the terminal says comes out, and its end is seen and told.

Everything to wait for is a file descriptor (a pidfd becomes readable when its process has ended; a pipe of our own
says that a signal came), so one poll(2) waits for all of it.
"""

from __future__ import annotations

import os
import select
import time

from tinybox.container.process import init
from tinybox.isolation.cgroups import out_of_memory as cgroup_oom
from tinybox.linux import signalfd
from tinybox.linux.signals import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol, Self

    from tinybox.container.process.handles import Handles
    from tinybox.isolation.cgroups.group import Cgroup

    class Watched(Protocol):
        """What a watch has to know of a container, or of one process in it."""

        handles: Handles
        cgroup: Cgroup
        limits_memory: bool


_NOT_FORWARDED = (signal.SIGCHLD, signal.SIGPIPE, signal.SIGURG, signal.SIGWINCH)
FORWARDED = [number for number in init.SIGNALS if number != signal.SIGCHLD]
_CHUNK = 65536
_LONGEST_WAIT = 1 << 30  # milliseconds, twelve days: poll(2) counts them in an int; a longer wait is made of several


class Ending:
    """How a container ended: the status that its first process left, and whether it was out of memory.

    A *complaint* says what could not be taken back of what it had.
    """

    def __init__(self, status: int, *, out_of_memory: bool = False) -> None:
        self.status, self.out_of_memory, self.complaint = status, out_of_memory, ""


class Signals:
    """Every signal that can be caught, kept pending while this is entered, and read at *fd* when there is time.

    From the first step of a container to its last, a Ctrl-C or a TERM cannot end tinybox between two steps; what came
    and was not read is thrown away at the end. See signalfd(2).
    """

    def __init__(self) -> None:
        self.fd = -1

    def __enter__(self) -> Self:
        self._former = signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED)
        self.fd = signalfd.signalfd(FORWARDED)
        return self

    def __exit__(self, *_: object) -> None:
        while self.pending():
            continue
        os.close(self.fd)
        signal.pthread_sigmask(signal.SIG_SETMASK, self._former)

    def pending(self) -> list[int]:
        """Return the numbers of the signals that came since the last call."""
        return signalfd.read(self.fd)


class WaitLoop:
    """One container under watch: a table of file descriptors and what each of them means."""

    def __init__(self, container: Watched, signals: Signals) -> None:
        self.container, self.handles, self.signals = container, container.handles, signals
        self.poll = select.poll()
        self.meaning: dict[int, Callable[[], object]] = {}
        self.ended = False
        self.out_of_memory = False
        self.typed = b""
        self.alarms: list[tuple[float, Callable[[], None]]] = []

    def listen(self, fd: int, meaning: Callable[[], object], mask: int = select.POLLIN) -> None:
        """From now on, call *meaning* when *fd* is ready; see poll(2)."""
        self.meaning[fd] = meaning
        self.poll.register(fd, mask)

    def ignore(self, fd: int) -> None:
        """Listen to *fd* no longer."""
        if self.meaning.pop(fd, None):
            self.poll.unregister(fd)

    def until_the_end(self) -> None:
        """Wait and answer until the container's first process has ended."""
        while not self.ended:
            for fd, _ in self.poll.poll(self._patience()):
                if fd in self.meaning:
                    self.meaning[fd]()
            self._ring()

    def after(self, seconds: float, act: Callable[[], None]) -> None:
        """Call *act* once, when so many *seconds* have passed."""
        self.alarms.append((time.monotonic() + seconds, act))

    def _patience(self) -> float | None:
        """Return for how many milliseconds poll(2) may wait: until the next alarm, or for ever."""
        if not self.alarms:
            return None
        return min(max(0.0, min(when for when, _ in self.alarms) - time.monotonic()) * 1000, _LONGEST_WAIT)

    def _ring(self) -> None:
        due = [(when, act) for when, act in self.alarms if when <= time.monotonic()]
        for alarm in due:
            self.alarms.remove(alarm)
            alarm[1]()

    def forward_signals(self) -> None:
        """Pass on to the container what was sent to us; a new window size is set; see pidfd_send_signal(2)."""
        for number in self.signals.pending():
            if number == signal.SIGWINCH and self.handles.master >= 0:
                from tinybox.isolation import terminal

                terminal.follow_size(0, self.handles.master)
            elif number not in _NOT_FORWARDED:
                try:
                    signal.pidfd_send_signal(self.handles.pidfd, number)
                except ProcessLookupError:
                    return

    def note_end(self) -> None:
        """Note that the first process has ended."""
        self.ended = True

    def type_in(self) -> None:
        """Take what was typed and carry it to the container's terminal, as fast as that takes it."""
        typed = os.read(0, _CHUNK)
        self.typed += typed
        if not typed:
            self.ignore(0)
        self.carry_typed()

    def carry_typed(self) -> None:
        """Write what is typed to the terminal; while it takes no more, nothing is read from ours; see EAGAIN, write(2).

        Waiting here instead would be a deadlock: a program that echoes stops reading while nobody reads its output.
        """
        master = self.handles.master
        try:
            while self.typed:
                self.typed = self.typed[os.write(master, self.typed) :]
        except BlockingIOError:
            self.ignore(0)
            self.listen(master, self.show_output, select.POLLIN | select.POLLOUT)
        except OSError:
            self.typed = b""

    def show_output(self) -> None:
        """Carry what the container's terminal shows to ours; EIO: nobody inside has it open any more; see pts(4)."""
        if self.typed:
            self.carry_typed()
            if not self.typed:
                self.listen(self.handles.master, self.show_output)
                self.listen(0, self.type_in)
        try:
            shown = os.read(self.handles.master, _CHUNK)
        except BlockingIOError:
            return
        except OSError:
            shown = b""
        if shown:
            write_all(1, shown)
        else:
            self.ignore(self.handles.master)


def close_quietly(fd: int) -> None:
    """Close *fd*, which may be closed already."""
    try:
        os.close(fd)
    except OSError:
        return


def write_all(fd: int, data: bytes) -> None:
    """Write all of *data*, waiting as long as it takes; see write(2) for why one call may not be enough."""
    while data:
        try:
            data = data[os.write(fd, data) :]
        except BlockingIOError:  # another process that has this terminal has set O_NONBLOCK
            select.select([], [fd], [])


def watch(container: Watched, signals: Signals, wire: Callable[[WaitLoop], None] | None = None) -> Ending:
    """Watch *container* until its first process ends, and say how it ended.

    *wire* connects the streams of a container that nobody holds in the foreground; see monitor/background.py.
    """
    handles = container.handles
    watching = WaitLoop(container, signals)
    watching.listen(handles.pidfd, watching.note_end)
    watching.listen(signals.fd, watching.forward_signals)
    oom = cgroup_oom.OomWatch(container.cgroup) if container.limits_memory else None
    if oom is not None:
        watching.listen(oom.fileno(), lambda: _out_of_memory(watching, oom), oom.mask)
        _out_of_memory(watching, oom)  # the program runs already: version 1 does not tell twice what came before
    try:
        if wire is not None:
            wire(watching)
        elif handles.master >= 0:
            from tinybox.isolation import terminal

            with terminal.RawMode(0):
                terminal.follow_size(0, handles.master)
                _relay(watching)
        elif handles.relay is not None:
            handles.relay.carry(watching)
        else:
            watching.until_the_end()
        return _ending(watching, oom)
    finally:
        if oom is not None:
            oom.close()


def _relay(watching: WaitLoop) -> None:
    """Be the wire between our terminal and the container's, to the last byte that it shows."""
    os.set_blocking(watching.handles.master, False)
    watching.listen(watching.handles.master, watching.show_output)
    if watching.handles.interactive:
        watching.listen(0, watching.type_in)
    watching.until_the_end()
    while select.select([watching.handles.master], [], [], 0)[0] and watching.handles.master in watching.meaning:
        watching.show_output()


def _out_of_memory(watching: WaitLoop, oom: cgroup_oom.OomWatch) -> None:
    """End the whole container, as memory.oom.group has the kernel do on version 2: half a container is none.

    It is remembered here: version 1 wakes us before it kills, and if we are faster its own count stays at zero.
    """
    if oom.struck():
        watching.out_of_memory = True
        watching.container.cgroup.kill()


def _ending(watching: WaitLoop, oom: cgroup_oom.OomWatch | None) -> Ending:
    """Collect the first process's exit status; see waitid(2). Whoever ran out of memory ended with 137, all of it."""
    result = os.waitid(os.P_PIDFD, watching.handles.pidfd, os.WEXITED)
    assert result is not None  # noqa: S101  without WNOHANG there is always one
    status = result.si_status if result.si_code == os.CLD_EXITED else 128 + result.si_status
    if watching.out_of_memory or (oom is not None and oom.struck()):
        return Ending(128 + signal.SIGKILL, out_of_memory=True)
    return Ending(status)
