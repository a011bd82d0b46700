"""inotify(7): wait for changes in directories without polling them; `Watcher` does it for several directories.

One descriptor collects the events of all watched directories, and becomes readable with the first event. The content of
an event is not used: the caller reads the directory again after each wait, so a lost event (the kernel's queue is
finite) does no harm.
"""

from __future__ import annotations

import ctypes
import os
import select

from tinybox.linux.abi import Syscall

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

IN_MODIFY = 0x002
IN_MOVED_FROM = 0x040
IN_MOVED_TO = 0x080
IN_CREATE = 0x100
IN_DELETE = 0x200
IN_DELETE_SELF = 0x400
CHANGES = IN_MODIFY | IN_MOVED_FROM | IN_MOVED_TO | IN_CREATE | IN_DELETE | IN_DELETE_SELF

_EVENTS_MAX = 65536  # bytes read at once; an event has 16 bytes and a name

_inotify_init1 = Syscall("inotify_init1", ctypes.c_int)
_inotify_add_watch = Syscall("inotify_add_watch", ctypes.c_int, ctypes.c_char_p, ctypes.c_uint32)


def inotify_init1() -> int:
    """Return a new, close-on-exec, non-blocking descriptor that collects events; see inotify_init1(2)."""
    return _inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)


def inotify_add_watch(fd: int, path: bytes, mask: int) -> int:
    """Collect the events of *mask* at *path* in the inotify descriptor *fd*; see inotify_add_watch(2)."""
    return _inotify_add_watch(fd, path, mask)


class Watcher:
    """A context manager that watches directories for any change of their entries; see inotify(7)."""

    def __init__(self, *folders: str) -> None:
        self.fd = inotify_init1()
        for folder in folders:
            try:
                inotify_add_watch(self.fd, os.fsencode(folder), CHANGES)
            except FileNotFoundError:  # it was removed already: the caller finds that when it reads the directory
                continue

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.fd)

    def wait(self, seconds: float) -> None:
        """Return when something has changed since the last call, or after *seconds*; see poll(2)."""
        poll = select.poll()
        poll.register(self.fd, select.POLLIN)
        if poll.poll(max(seconds, 0) * 1000):
            os.read(self.fd, _EVENTS_MAX)
