"""The wait loop of a running container: it forwards signals, copies terminal bytes, and returns its exit status.

Each event is a file descriptor that becomes readable (a pidfd when its process has ended, a signalfd when a signal has
arrived), so one poll(2) waits for all of them. The foreground command, the monitor and `exec` use this loop.
"""

from __future__ import annotations

import os
import select
import time

from tinybox.container.process import init
from tinybox.linux import signalfd
from tinybox.linux.signals import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol, Self

    from tinybox.container.process.handles import Handles
    from tinybox.isolation.cgroups.group import Cgroup
    from tinybox.isolation.cgroups.out_of_memory import OomWatch

    class Watched(Protocol):
        """The attributes that the wait loop reads, of a container or of one process in it (`exec`)."""

        handles: Handles
        cgroup: Cgroup
        limits_memory: bool


_NOT_FORWARDED = (signal.SIGCHLD, signal.SIGPIPE, signal.SIGURG, signal.SIGWINCH)
FORWARDED = [number for number in init.SIGNALS if number != signal.SIGCHLD]
_CHUNK = 65536
_LONGEST_WAIT = 1 << 30  # milliseconds, twelve days: poll(2) counts them in an int; a longer wait is made of several


class Ending:
    """How a container ended: the exit status of its first process, and whether it ran out of memory.

    *complaint* is the error of a network clean-up that failed, or "".
    """

    def __init__(self, status: int, *, out_of_memory: bool = False) -> None:
        self.status, self.out_of_memory, self.complaint = status, out_of_memory, ""


class Signals:
    """Blocks every signal that can be caught, inside a ``with`` block; the wait loop reads them from *fd*.

    So Ctrl-C or TERM cannot end tinybox between two steps, from the first step of a container to its last. Signals that
    were not read are discarded at the end of the block. See signalfd(2).
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
        """Return the numbers of the signals that have arrived since the last call."""
        return signalfd.read(self.fd)


class WaitLoop:
    """Waits for one container: a table from file descriptors to the functions that handle them."""

    def __init__(self, container: Watched, signals: Signals) -> None:
        self.container, self.handles, self.signals = container, container.handles, signals
        self.poll = select.poll()
        self.handlers: dict[int, Callable[[], object]] = {}
        self.ended = False
        self.out_of_memory = False
        self.typed = b""
        self.alarms: list[tuple[float, Callable[[], None]]] = []

    def listen(self, fd: int, handler: Callable[[], object], mask: int = select.POLLIN) -> None:
        """Call *handler* whenever *fd* is ready, from now on; see poll(2)."""
        self.handlers[fd] = handler
        self.poll.register(fd, mask)

    def ignore(self, fd: int) -> None:
        """Stop listening to *fd*."""
        if self.handlers.pop(fd, None):
            self.poll.unregister(fd)

    def until_the_end(self) -> None:
        """Handle events until the container's first process has ended."""
        while not self.ended:
            for fd, _ in self.poll.poll(self._timeout()):
                if fd in self.handlers:
                    self.handlers[fd]()
            self._run_due_alarms()

    def after(self, seconds: float, act: Callable[[], None]) -> None:
        """Call *act* once, after *seconds* have passed."""
        self.alarms.append((time.monotonic() + seconds, act))

    def _timeout(self) -> float | None:
        """Return for how many milliseconds poll(2) may wait: until the next alarm, or None for ever."""
        if not self.alarms:
            return None
        return min(max(0.0, min(when for when, _ in self.alarms) - time.monotonic()) * 1000, _LONGEST_WAIT)

    def _run_due_alarms(self) -> None:
        due = [(when, act) for when, act in self.alarms if when <= time.monotonic()]
        for alarm in due:
            self.alarms.remove(alarm)
            alarm[1]()

    def forward_signals(self) -> None:
        """Send pending signals to the container; for SIGWINCH, set its terminal's size; see pidfd_send_signal(2)."""
        for number in self.signals.pending():
            if number == signal.SIGWINCH and self.handles.master >= 0:
                from tinybox.isolation import terminal

                terminal.follow_window(self.handles.master)
            elif number not in _NOT_FORWARDED:
                try:
                    signal.pidfd_send_signal(self.handles.pidfd, number)
                except ProcessLookupError:
                    return

    def note_end(self) -> None:
        """Record that the container's first process has ended."""
        self.ended = True

    def type_in(self) -> None:
        """Copy typed bytes to the container's terminal, as fast as that accepts them."""
        typed = os.read(0, _CHUNK)
        self.typed += typed
        if not typed:
            self.ignore(0)
        self.carry_typed()

    def carry_typed(self) -> None:
        """Write typed bytes to the container's terminal; while it is full (EAGAIN, write(2)), do not read more input.

        To wait here instead would be a deadlock: a program that echoes its input stops reading while its output is not
        read, and this process reads it.
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
        """Copy the output of the container's terminal to stdout; EIO: no process has the terminal open; see pts(4)."""
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
    """Close *fd*; ignore the error if it is closed already."""
    try:
        os.close(fd)
    except OSError:
        return


def write_all(fd: int, data: bytes) -> None:
    """Write all of *data*, and wait as long as that takes; see write(2) for why one call may not be enough."""
    while data:
        try:
            data = data[os.write(fd, data) :]
        except BlockingIOError:  # another process that has this terminal open has set O_NONBLOCK
            select.select([], [fd], [])


def watch(container: Watched, signals: Signals, wire: Callable[[WaitLoop], None] | None = None) -> Ending:
    """Wait until the first process of *container* ends, handle its events meanwhile, and return how it ended.

    *wire* connects the streams of a background container, which has a monitor; see monitor/background.py.
    """
    handles = container.handles
    watching = WaitLoop(container, signals)
    watching.listen(handles.pidfd, watching.note_end)
    watching.listen(signals.fd, watching.forward_signals)
    oom = _oom_watch(container)
    if oom is not None:
        watching.listen(oom.fileno(), lambda: _out_of_memory(watching, oom), oom.mask)
        _out_of_memory(watching, oom)  # the program runs already, and cgroup v1 does not repeat earlier events
    try:
        if wire is not None:
            wire(watching)
        elif handles.master >= 0:
            from tinybox.isolation import terminal

            with terminal.RawMode(0, output=handles.newlines):
                terminal.follow_window(handles.master)  # it may have changed since the plan was made
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
    """Copy bytes between tinybox's terminal and the container's, up to the last byte of its output."""
    os.set_blocking(watching.handles.master, False)
    watching.listen(watching.handles.master, watching.show_output)
    if watching.handles.interactive:
        watching.listen(0, watching.type_in)
    watching.until_the_end()
    while select.select([watching.handles.master], [], [], 0)[0] and watching.handles.master in watching.handlers:
        watching.show_output()


def _oom_watch(container: Watched) -> OomWatch | None:
    if not container.limits_memory:
        return None
    from tinybox.isolation.cgroups.out_of_memory import OomWatch

    return OomWatch(container.cgroup)


def _out_of_memory(watching: WaitLoop, oom: OomWatch) -> None:
    """Kill the whole container if it ran out of memory, as memory.oom.group does on cgroup v2: no half of it is left.

    The event is recorded in *watching*: cgroup v1 sends it before it kills, so the kernel's own count may stay at zero.
    """
    if oom.struck():
        watching.out_of_memory = True
        watching.container.cgroup.kill()


def _ending(watching: WaitLoop, oom: OomWatch | None) -> Ending:
    """Reap the first process and return how it ended; see waitid(2). Out of memory, the status is always 137."""
    result = os.waitid(os.P_PIDFD, watching.handles.pidfd, os.WEXITED)
    assert result is not None  # noqa: S101  waitid(2) returns None only with WNOHANG
    status = result.si_status if result.si_code == os.CLD_EXITED else 128 + result.si_status
    if watching.out_of_memory or (oom is not None and oom.struck()):
        return Ending(128 + signal.SIGKILL, out_of_memory=True)
    return Ending(status)
