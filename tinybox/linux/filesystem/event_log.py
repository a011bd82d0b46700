"""The event log ROOT/events.log: what happened to containers, images, networks and volumes, one line of JSON an event.

All tinybox processes append to it, several lines by one write(2) with O_APPEND, so lines of several processes never
mix. A full log is renamed by one process: it takes a lock on the file and checks that it still has its name; see
flock(2). No process waits for that lock: one that does not get it appends to the full log.
"""

from __future__ import annotations

import fcntl
import os
import time

from tinybox.linux import quick_json as json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    Event = dict[str, Any]

NAME = "events.log"  # in the store
_APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # no wait for a fifo
LARGEST = 4 << 20  # bytes; a larger log is renamed to events.log.1, and a new one is begun


def event(kind: str, action: str, identity: str, attributes: dict[str, str]) -> Event:
    """Return the event that *action* (start, pull ...) happens now to a thing of this *kind*; see clock_gettime(2).

    *kind* is container, image, network, volume or builder. *identity* is the thing's id, or its name if it has none.
    """
    return {"timeNano": time.time_ns(), "Type": kind, "Action": action, "id": identity, "Attributes": attributes}


def append(path: str, *events: Event) -> None:
    """Append *events* to the log *path* by one write(2). If that fails (a full disk), they are lost."""
    try:
        fd = os.open(path, _APPEND, 0o600)
        try:
            lines = b"".join(json.dumps(each).encode() + b"\n" for each in events)
            if os.write(fd, lines) and os.fstat(fd).st_size > LARGEST:
                _put_aside(path, fd)
        finally:
            os.close(fd)
    except OSError:
        return


def newest_first(path: str) -> Iterator[bytes]:
    """Yield the lines of the log *path* and then of PATH.1, the newest first; see open(2).

    The present log is read first: a line that is put aside meanwhile is read twice, and none is missed.
    """
    for name in (path, f"{path}.1"):
        try:
            with open(os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
                text = file.read(2 * LARGEST) or b""
        except OSError:  # there is none, or it is no file
            continue
        yield from reversed(text.split(b"\n"))


def _put_aside(path: str, fd: int) -> None:
    """Rename the full log *fd* to PATH.1, unless another process does so, or has: PATH is then a new file.

    BlockingIOError: another process has the lock. It may be stopped, and each command that waited would stop, too.
    """
    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    if os.path.samestat(os.stat(path), os.fstat(fd)):
        os.rename(path, f"{path}.1")
