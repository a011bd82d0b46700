"""File locks, flock(2): wait for a lock, and continue (SIGCONT) a stopped process that holds it.

A lock belongs to an open file: it is released when the last process that has this file open closes it or ends, also by
SIGKILL. A stopped process does neither, so it would keep its lock.
"""

from __future__ import annotations

import fcntl
import os
import time
from _thread import get_ident  # importing threading costs 2 ms more

from tinybox.errors import HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

LOOK = 0.5  # seconds before the first look at who holds the lock; each further wait is as long as all before it
_PAUSES = (0.001, 0.01, 0.5)  # seconds between two tries: at first; at most; at most, if many wait for a long time
_PART = 16  # a wait that has lasted longer is long: another try after a sixteenth of it is soon enough


def lock_file(fd: int, operation: int = fcntl.LOCK_EX, between: Callable[[], object] = lambda: None) -> None:
    """Lock the open file *fd*, and wait for the lock without a limit of time; see flock(2).

    *between* is called between two tries; its error ends the wait.

    If the lock has the same holder at two looks, the first time after a second, those holders that are stopped are
    continued; see signals/stopped.py. While it goes from one process to the next, nothing is searched: 200 boxes that
    end at once wait for one lock, and each search would keep the holder from its work.
    """
    (pause, usual, most), begun, look = _PAUSES, time.monotonic(), LOOK
    takers: list[int] | None = None
    while True:
        try:
            fcntl.flock(fd, operation | fcntl.LOCK_NB)
        except BlockingIOError:
            between()
            time.sleep(pause)
        else:
            return
        lasted = time.monotonic() - begun
        pause = min(2 * pause, max(usual, min(lasted / _PART, most)))
        if lasted > look:
            from tinybox.linux.signals import stopped

            former, takers = takers, stopped.takers(os.fstat(fd))
            if takers == former:
                stopped.wake_takers(os.fstat(fd), takers)
            look = 2 * lasted


class Lock:
    """A context manager that holds a lock on the file *path*; see flock(2). The kernel releases it if the process dies.

    The file is made if it is missing, and stays. If this thread already holds the lock, shared or not, entering it
    again does nothing: the thread would wait for itself. HostError: the file cannot be opened.
    """

    _held: set[tuple[int, str]] = set()  # noqa: RUF012  (thread, path) of all locks that this process holds

    def __init__(self, path: str, operation: int = fcntl.LOCK_EX) -> None:
        self._path, self._operation, self._fd = path, operation, -1

    def __enter__(self) -> Self:
        if (get_ident(), self._path) in self._held:
            return self
        try:
            self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise HostError(f"lock {self._path}", f"cannot be taken: {error.strerror}", "run as root") from error
        lock_file(self._fd, self._operation)
        self._held.add((get_ident(), self._path))
        return self

    def __exit__(self, *_: object) -> None:
        if self._fd >= 0:
            self._held.discard((get_ident(), self._path))
            os.close(self._fd)
            self._fd = -1


def make_locked(path: str) -> int:
    """Make the directory *path*, and lock it; return its fd. A sweep removes directories that are not locked.

    A sweep may come between mkdir(2) and flock(2). It holds a shared lock while it removes the directory. So this
    process gets its exclusive lock afterwards, on a directory that has no name any more; then it makes a new one.
    """
    while True:
        os.mkdir(path, 0o700)
        fd = -1
        try:
            fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            lock_file(fd)
            if os.path.samestat(os.fstat(fd), os.stat(path)):
                return fd
        except FileNotFoundError:  # it has been removed before open(2), or before stat(2)
            pass
        if fd >= 0:
            os.close(fd)


def is_locked(path: str, flags: int = 0) -> bool:
    """Return whether another process holds an exclusive lock on the file *path*; see flock(2).

    The file is opened with O_RDONLY and *flags*. The test takes a shared lock for a moment, so several processes may
    test at once. FileNotFoundError: there is no such file.
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | flags)
    try:
        return not share(fd)
    finally:
        os.close(fd)


def share(fd: int) -> bool:
    """Take a shared lock on the open file *fd*; False: another process holds an exclusive one. See flock(2)."""
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
