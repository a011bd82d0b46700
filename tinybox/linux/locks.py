"""Locks on files: a process waits for one that another process holds, and continues that process if it is stopped.

flock(2) ties a lock to an open file: it is given back when the last process that has that file open closes it, or dies.
A process that is stopped does neither.
"""

from __future__ import annotations

import fcntl
import os
import time
from _thread import get_ident  # threading would be loaded for it alone

from tinybox.errors import HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

LOOK = 1.0  # seconds between two looks whether a process that holds the lock is stopped
_PAUSE_MOST = 0.01  # seconds between two tries


def lock_file(fd: int, operation: int = fcntl.LOCK_EX) -> None:
    """Lock the open file *fd*, waiting as long as that takes; see flock(2).

    A stopped process keeps its locks: one that we wait for is continued. See stopped.py.
    """
    pause, look = 0.001, time.monotonic() + LOOK
    while True:
        try:
            fcntl.flock(fd, operation | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(pause)
        else:
            return
        pause = min(2 * pause, _PAUSE_MOST)
        if time.monotonic() > look:
            from tinybox.linux import stopped

            stopped.wake_holders(os.fstat(fd))
            look = time.monotonic() + LOOK


class Lock:
    """A lock on the file *path*, held while the object is entered; see flock(2). It dies with its process.

    Where this thread holds it already, shared or not, nothing more is locked: it would wait for itself.
    HostError: the file cannot be opened.
    """

    _held: set[tuple[int, str]] = set()  # noqa: RUF012  thread and path, of the whole process

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
