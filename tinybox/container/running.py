"""The first process of a running container, held by a pidfd: commands on a running container begin here.

A pidfd never means another process, even when the container has ended and its pid belongs to a new process.
"""

from __future__ import annotations

import os
import select

from tinybox.container.records import events, naming, state
from tinybox.errors import StateError
from tinybox.linux import proc
from tinybox.linux.signals import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

    from tinybox.container.records.paths import Paths
    from tinybox.container.records.state_file import State

_LONGEST = (1 << 31) - 1  # milliseconds that poll(2) can wait: 24 days


class Running:
    """A running container's first process, held by a pidfd: it can never mean another process; see pidfd_open(2)."""

    def __init__(self, paths: Paths, container: str, state_now: State) -> None:
        self.paths, self.id, self.state = paths, container, state_now
        self.pidfd = _open(state_now)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.pidfd)

    def send(self, number: int) -> None:
        """Send the process signal *number*; if it has just ended, do nothing; see pidfd_send_signal(2)."""
        try:
            signal.pidfd_send_signal(self.pidfd, number)
        except ProcessLookupError:
            return

    def kill(self, number: int) -> None:
        """Send the signal *number* at a user's request: first record the event, then the end can be recorded."""
        events.emit(self.paths, self.id, "kill", self.state["annotations"], signal=number)
        self.send(number)

    def ends_within(self, seconds: float | None) -> bool:
        """Wait at most *seconds* (None: without a limit) for the end of the process; return whether it has ended."""
        poll = select.poll()
        poll.register(self.pidfd, select.POLLIN)
        return bool(poll.poll(None if seconds is None else min(seconds * 1000, _LONGEST)))


def running(paths: Paths, word: str) -> Running:
    """Return the running container that *word* names; StateError when it does not run."""
    container = naming.find(paths, word)
    now = state.read(paths, container)
    if now["status"] != state.RUNNING:
        raise StateError(f"container {word}", "is not running", f"tinybox start {word}")
    return Running(paths, container, now)


def _open(now: State) -> int:
    """Return a pidfd of the process in the state *now*; StateError if its pid belongs to another process by now."""
    gone = StateError(f"container {now['id'][:12]}", "has just ended")
    try:
        pidfd = os.pidfd_open(now["pid"])
    except ProcessLookupError as error:
        raise gone from error
    found = proc.stat_of(now["pid"])
    if found is not None and found.starttime == now["startTicks"]:
        return pidfd
    os.close(pidfd)
    raise gone
