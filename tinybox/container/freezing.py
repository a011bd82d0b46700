"""Freezing a container: until `unpause` says otherwise, or only as long as a command works on it.

A frozen control group stays frozen when the command that froze it dies. So a command that freezes for its own work says
so in RUN/ID/freezer before, and holds that file's lock; see flock(2). A word there that nobody holds is a dead
command's: the next command, whichever it is, lets the container go on. `pause` leaves no word.
"""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import contextmanager

from tinybox.container.records import events, state
from tinybox.errors import StateError
from tinybox.isolation.cgroups.group import Cgroup, place
from tinybox.linux.locks import share
from tinybox.linux.waiting import until

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

    from tinybox.container.records.paths import Paths


def group(container: str) -> Cgroup:
    """Return the control group of a container that is alive, whichever hierarchies it has."""
    from tinybox.isolation.cgroups.hierarchies import hierarchies

    where = hierarchies()
    return Cgroup(place(container), where, where.v1)


def is_paused(container: str) -> bool:
    """Tell whether the container's control group is frozen."""
    return group(container).frozen()


class Freezer:
    """The right to freeze a running container and to let it go on, which one command at a time has; see flock(2)."""

    def __init__(self, paths: Paths, container: str) -> None:
        self._paths, self._id = paths, container
        self._group = group(container)
        self._fd = -1

    def __enter__(self) -> Self:
        if not until(self._take, time.monotonic() + state.PATIENCE, state.PAUSE):
            raise StateError(f"container {self._id[:12]}", "is in the hands of another command", "wait for it")
        self._thaw_for_the_dead()
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)
        self._fd = -1

    def _take(self) -> bool:
        ended = StateError(f"container {self._id[:12]}", "has just ended")
        try:
            self._fd = os.open(_path(self._paths, self._id), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError as error:
            raise ended from error
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._fd)
            return False
        if os.fstat(self._fd).st_nlink:
            return True
        os.close(self._fd)
        raise ended

    def _thaw_for_the_dead(self) -> None:
        """Let go on what a command froze that has died since: nobody else can be meant by a word that we can lock."""
        if os.pread(self._fd, 1, 0):
            self.thaw()

    def is_frozen(self) -> bool:
        """Tell whether the processes stand still."""
        return self._group.frozen()

    def freeze(self, reason: str = "") -> None:
        """Freeze every process; with a *reason* only for our own work. See cgroup.freeze in cgroups(7), Linux 5.2."""
        if reason:
            os.pwrite(self._fd, f"{reason} {os.getpid()}\n".encode(), 0)
        try:
            self._group.freeze()
        except OSError as error:
            raise StateError(f"container {self._id[:12]}", "has just ended") from error
        events.emit(self._paths, self._id, "pause")

    def thaw(self) -> None:
        """Let every process go on, and then forget the reason."""
        was_frozen = self._group.frozen()
        self._group.thaw()
        os.ftruncate(self._fd, 0)
        if was_frozen:
            events.emit(self._paths, self._id, "unpause")


@contextmanager
def frozen(paths: Paths, container: str, reason: str) -> Iterator[None]:
    """Keep a running container frozen while the caller works on it; one that is paused already stays so.

    StateError in the end: another command let it go on, or ended it, and what the caller has seen may be half of this
    and half of that.
    """
    with Freezer(paths, container) as freezer:
        ours = not freezer.is_frozen()
        try:
            if ours:
                freezer.freeze(reason)
            yield
            if not freezer.is_frozen():
                cause = f"another command let it go on during the {reason}, or ended it"
                raise StateError(f"container {container[:12]}", cause, "try again")
        finally:
            if ours:
                freezer.thaw()


def left_frozen(paths: Paths, container: str) -> bool:
    """Tell whether a command has died that kept the container frozen; this changes nothing."""
    try:
        fd = os.open(_path(paths, container), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return share(fd) and bool(os.pread(fd, 1, 0))
    finally:
        os.close(fd)


def thaw_for_the_dead(paths: Paths, container: str) -> None:
    """Let a container go on that a dead command has left frozen; a paused one stays as it is."""
    if left_frozen(paths, container):
        try:
            with Freezer(paths, container):
                return  # entering does it
        except StateError:  # it has ended, or another command is faster
            return


def _path(paths: Paths, container: str) -> str:
    return os.path.join(paths.run_directory(container), state.FREEZER)
