"""Freezing a container: for `pause` until `unpause`, or for `commit` while it reads the container's files.

A frozen control group stays frozen when the command that froze it is killed. So a command that freezes a container for
its own work first writes its reason and pid into the file RUN/ID/freezer, and keeps that file locked: flock(2). If the
file has content and is not locked, the command was killed; the next command, whichever it is, thaws the container.
`pause` writes no reason.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time

from tinybox.container.records import events, spec, state
from tinybox.errors import StateError
from tinybox.isolation.cgroups.group import Cgroup, place
from tinybox.linux.filesystem.locks import lock_file, share

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

    from tinybox.container.records.paths import Paths


def group(paths: Paths, container: str) -> Cgroup:
    """Return the control group of a running container, in every hierarchy of this host."""
    from tinybox.isolation.cgroups.hierarchies import hierarchies

    where = hierarchies()
    parent = state.last(paths, container).get("annotations", {}).get(spec.CGROUP_PARENT, "")
    return Cgroup(place(container, parent), where, where.v1)


class Freezer:
    """The lock on RUN/ID/freezer: one command at a time may freeze or thaw a running container; see flock(2).

    A command that was stopped (SIGSTOP) while it has the lock is continued, see `lock_file`. StateError: another one
    works for longer than state.PATIENCE.
    """

    def __init__(self, paths: Paths, container: str) -> None:
        self._paths, self._id = paths, container
        self._group = group(paths, container)
        self._fd = -1

    def __enter__(self) -> Self:
        self._fd, deadline = _opened(self._paths, self._id), time.monotonic() + state.PATIENCE
        try:
            lock_file(self._fd, between=lambda: self._refuse_after(deadline))
            self._take_over()
        except BaseException:
            os.close(self._fd)
            raise
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)
        self._fd = -1

    def _refuse_after(self, deadline: float) -> None:
        if time.monotonic() > deadline:
            raise StateError(f"container {self._id[:12]}", "is in use by another command", "wait for it")

    def _take_over(self) -> None:
        """Thaw the container if the file has content: this process has its lock, so the command that wrote is dead."""
        if not os.fstat(self._fd).st_nlink:
            raise _ended(self._id)
        if os.pread(self._fd, 1, 0):
            self.thaw()

    def is_frozen(self) -> bool:
        """Return whether the container's processes are frozen."""
        return self._group.frozen()

    def freeze(self, reason: str = "") -> None:
        """Freeze every process; a command that freezes the container for its own work gives a *reason*.

        See cgroup.freeze in cgroups(7), Linux 5.2. StateError: the container has just ended.
        """
        if reason:
            os.pwrite(self._fd, f"{reason} {os.getpid()}\n".encode(), 0)
        try:
            self._group.freeze()
        except OSError as error:
            raise _ended(self._id) from error
        events.emit(self._paths, self._id, "pause")

    def thaw(self) -> None:
        """Thaw every process, then erase the reason."""
        was_frozen = self._group.frozen()
        self._group.thaw()
        os.ftruncate(self._fd, 0)
        if was_frozen:
            events.emit(self._paths, self._id, "unpause")


class KeptFromPausing:
    """While it is entered, no command freezes a running container; StateError at the entry: it is paused.

    A process that is made in a frozen control group does not run, and its parent would wait for it until `unpause`. So
    the caller shares the lock on RUN/ID/freezer, which a command that freezes has alone; if that is stopped (SIGSTOP)
    before it has frozen anything, the caller continues it. The caller must not be in the *group*, which is the
    container's. Where the file cannot be made because the disk is full, no command can freeze either.
    """

    def __init__(self, paths: Paths, container: str, its_group: Cgroup | None = None) -> None:
        self._paths, self._id, self._group = paths, container, its_group
        self._fd = -1

    def __enter__(self) -> None:
        try:
            self._fd = _opened(self._paths, self._id)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            return
        try:
            lock_file(self._fd, fcntl.LOCK_SH, between=self._refuse)  # the lock's holder has frozen it, or will
            self._refuse()
        except BaseException:
            os.close(self._fd)
            raise

    def __exit__(self, *_: object) -> None:
        if self._fd >= 0:
            os.close(self._fd)

    def _refuse(self) -> None:
        refuse_paused(self._paths, self._id, self._group)


def refuse_paused(paths: Paths, container: str, its_group: Cgroup | None = None) -> None:
    """Raise StateError if the container is paused; *its_group* is its control group, if the caller knows it."""
    if (its_group or group(paths, container)).frozen():
        raise StateError(f"container {container[:12]}", "is paused", f"tinybox unpause {container[:12]}")


def left_frozen(paths: Paths, container: str) -> bool:
    """Return whether a command was killed while it kept the container frozen; this changes nothing."""
    try:
        fd = os.open(_path(paths, container), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return share(fd) and bool(os.pread(fd, 1, 0))
    finally:
        os.close(fd)


def thaw_for_the_dead(paths: Paths, container: str) -> None:
    """Thaw a container that a killed command has left frozen; a paused container stays paused."""
    if left_frozen(paths, container):
        try:
            with Freezer(paths, container):
                return  # __enter__() has thawed it
        except StateError:  # the container has ended, or another command thaws it
            return


def _opened(paths: Paths, container: str) -> int:
    """Open the file RUN/ID/freezer, and make it if it is missing; StateError: the container has just ended."""
    try:
        return os.open(_path(paths, container), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except FileNotFoundError as error:
        raise _ended(container) from error


def _ended(container: str) -> StateError:
    return StateError(f"container {container[:12]}", "has just ended")


def _path(paths: Paths, container: str) -> str:
    return os.path.join(paths.run_directory(container), state.FREEZER)
