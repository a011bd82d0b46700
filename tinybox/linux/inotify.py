"""Being told that files change, instead of looking again and again: the kernel writes down what happens to a directory.

One descriptor collects the news of all that is watched; it becomes readable with the first of them. What the news say
matters little here: whoever is woken looks for himself, so a lost event (the queue is finite) does no harm.
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

_EVENTS_MAX = 65536  # bytes read at once; one event has 16 and a name

_inotify_init1 = Syscall("inotify_init1", ctypes.c_int)
_inotify_add_watch = Syscall("inotify_add_watch", ctypes.c_int, ctypes.c_char_p, ctypes.c_uint32)


def inotify_init1() -> int:
    """Return a new, close-on-exec, non-blocking descriptor that collects events; see inotify_init1(2)."""
    return _inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)


def inotify_add_watch(fd: int, path: bytes, mask: int) -> int:
    """Have the events of *mask* at *path* collected by *fd*; see inotify_add_watch(2)."""
    return _inotify_add_watch(fd, path, mask)


class Watcher:
    """Directories that are watched for any change to what they hold; see inotify(7)."""

    def __init__(self, *folders: str) -> None:
        self.fd = inotify_init1()
        for folder in folders:
            try:
                inotify_add_watch(self.fd, os.fsencode(folder), CHANGES)
            except FileNotFoundError:  # it has gone already: who looks will see it
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
