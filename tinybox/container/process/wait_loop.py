"""The wait loop of a running container: it forwards signals, handles all other events, and returns its exit status.

Each event is a file descriptor that becomes readable (a pidfd when its process has ended, a signalfd when a signal has
arrived), so one poll(2) waits for all of them. The foreground command, the monitor and `exec` use this loop.

The program runs already, so no failure here may end it: a handler that fails is not called again, and the first
failure is what `Ending.complaint` says. Terminals, logs and health checks are handlers.
"""

from __future__ import annotations

import os
import select
import time

from tinybox.container.process import init
from tinybox.linux.signals import signal, signalfd

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

    class Streams(Protocol):
        """The streams of a container with a log: monitor/stream_hub.py, which this package cannot import."""

        def open(self) -> None:
            """Make the pipes."""

        def started(self) -> None:
            """Close the program's ends."""

        def watch(self, watching: WaitLoop) -> None:
            """Pass data in both directions until the container ends."""

        def close(self, status: int) -> None:
            """Close all, and say farewell to clients."""


NOT_FORWARDED = (signal.SIGCHLD, signal.SIGPIPE, signal.SIGURG, signal.SIGWINCH)
FORWARDED = [number for number in init.SIGNALS if number != signal.SIGCHLD]
_CHUNK = 65536
_LONGEST_WAIT = 1 << 30  # milliseconds, twelve days: poll(2) counts them in an int; a longer wait is made of several


class Ending:
    """How a container ended: the exit status of its first process, and whether it ran out of memory.

    *complaint* is what else went wrong while it ran or was cleaned up, or "". *stdout* and *stderr* are what it has
    written, if the Python caller asked for that (``capture_output=True``).
    """

    def __init__(self, status: int, *, out_of_memory: bool = False, complaint: str = "") -> None:
        self.status, self.out_of_memory, self.complaint = status, out_of_memory, complaint
        self.stdout = self.stderr = b""

    def __repr__(self) -> str:
        more = ", out_of_memory=True" * self.out_of_memory
        return f"Ending({self.status}{more}{f', complaint={self.complaint!r}' * bool(self.complaint)})"

    def __str__(self) -> str:
        """Return the status, its usual cause, and the complaint: ``exit status 143: 128 + 15, as after SIGTERM``.

        A program can also exit with such a number by itself; see bash(1), EXIT STATUS.
        """
        number = self.status - 128
        causes = ["out of memory"] if self.out_of_memory else []
        if not causes and 0 < number <= 64:
            causes.append(f"128 + {number}, as after {_signal_name(number)}")
        causes += [self.complaint] if self.complaint else []
        return f"exit status {self.status}" + ": ".join(["", "; ".join(causes)] if causes else "")


def _signal_name(number: int) -> str:
    import signal as names  # late: it takes 3 ms

    try:
        return names.Signals(number).name
    except ValueError:  # a real-time signal
        return f"signal {number}"


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
        self.masks: dict[int, int] = {}  # the events of each of these fds, as for poll(2)
        self.ended = False
        self.out_of_memory = False
        self.complaint = ""
        self.alarms: list[tuple[float, Callable[[], None]]] = []

    def listen(self, fd: int, handler: Callable[[], object], mask: int = select.POLLIN) -> None:
        """Call *handler* whenever *fd* is ready, from now on; see poll(2)."""
        self.handlers[fd], self.masks[fd] = handler, mask
        self.poll.register(fd, mask)

    def ignore(self, fd: int) -> None:
        """Stop listening to *fd*."""
        if self.handlers.pop(fd, None):
            del self.masks[fd]
            self.poll.unregister(fd)

    def until_the_end(self) -> None:
        """Handle events until the container's first process has ended."""
        while not self.ended:
            for fd, _ in self.poll.poll(self.timeout()):
                if fd in self.handlers and not self.survives(self.handlers[fd]) and fd != self.signals.fd:
                    self.ignore(fd)
            self._run_due_alarms()

    def survives(self, act: Callable[[], object]) -> bool:
        """Call *act*; if it fails, keep its error as the complaint and return False."""
        try:
            act()
        except Exception as error:  # noqa: BLE001  an error of any kind must not end the program that runs
            self.complain(f"{type(error).__name__}: {error}")
            return False
        return True

    def complain(self, text: str) -> None:
        """Keep the first *text* that says what went wrong; the program goes on."""
        self.complaint = self.complaint or text

    def after(self, seconds: float, act: Callable[[], None]) -> None:
        """Call *act* once, after *seconds* have passed."""
        self.alarms.append((time.monotonic() + seconds, act))

    def timeout(self) -> float | None:
        """Return for how many milliseconds poll(2) may wait: until the next alarm, or None for ever."""
        if not self.alarms:
            return None
        return min(max(0.0, min(when for when, _ in self.alarms) - time.monotonic()) * 1000, _LONGEST_WAIT)

    def _run_due_alarms(self) -> None:
        due = [(when, act) for when, act in self.alarms if when <= time.monotonic()]
        for alarm in due:
            self.alarms.remove(alarm)
            self.survives(alarm[1])

    def forward_signals(self) -> None:
        """Send pending signals to the container; for SIGWINCH, set its terminal's size; see pidfd_send_signal(2)."""
        for number in self.signals.pending():
            if number == signal.SIGWINCH and self.handles.master >= 0:
                from tinybox.isolation import terminal

                terminal.follow_window(self.handles.master)
            elif number not in NOT_FORWARDED:
                try:
                    signal.pidfd_send_signal(self.handles.pidfd, number)
                except ProcessLookupError:
                    return

    def note_end(self) -> None:
        """Record that the container's first process has ended."""
        self.ended = True


def close_quietly(fd: int) -> None:
    """Close *fd*; ignore the error if it is closed already."""
    try:
        os.close(fd)
    except OSError:
        return


def watch(container: Watched, signals: Signals, wire: Callable[[WaitLoop], None] | None = None) -> Ending:
    """Wait until the first process of *container* ends, handle its events meanwhile, and return how it ended.

    *wire* connects the streams of a background container, which has a monitor; see monitor/background.py.
    """
    handles = container.handles
    watching = WaitLoop(container, signals)
    watching.listen(handles.pidfd, watching.note_end)
    watching.listen(signals.fd, watching.forward_signals)
    oom = _oom_watch(watching)
    try:
        try:
            (wire or _relay)(watching)
        except Exception as error:  # noqa: BLE001  the streams have failed, not the program
            watching.complain(f"{type(error).__name__}: {error}")
            watching.until_the_end()
        return _ending(watching, oom)
    finally:
        if oom is not None:
            oom.close()


def write_rest(handles: Handles, signals: Signals) -> None:
    """Write what the user's streams have not taken before the program's end; see user_streams.py."""
    if handles.unwritten:
        from tinybox.container.process import user_streams

        user_streams.write_rest(handles, signals)


def _relay(watching: WaitLoop) -> None:
    """Wait for the end of the container, and copy bytes between tinybox's streams and its terminal or pipes."""
    if watching.handles.master >= 0:
        from tinybox.container.process.terminal_relay import TerminalRelay

        TerminalRelay(watching).carry()
    elif watching.handles.relay is not None:
        watching.handles.relay.carry(watching)
    else:
        watching.until_the_end()


def _oom_watch(watching: WaitLoop) -> OomWatch | None:
    """Listen for a lack of memory; None if the container has no limit, or no descriptor is free for it."""
    if not watching.container.limits_memory:
        return None
    from tinybox.isolation.cgroups.out_of_memory import OomWatch

    try:
        oom = OomWatch(watching.container.cgroup)
    except OSError as error:
        watching.complain(f"out of memory would not be noticed: {error.strerror}")
        return None
    watching.listen(oom.fileno(), lambda: _out_of_memory(watching, oom), oom.mask)
    watching.survives(
        lambda: _out_of_memory(watching, oom)
    )  # the program runs already, and cgroup v1 does not repeat earlier events
    return oom


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
        return Ending(128 + signal.SIGKILL, out_of_memory=True, complaint=watching.complaint)
    return Ending(status, complaint=watching.complaint)
