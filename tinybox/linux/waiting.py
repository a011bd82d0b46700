"""Waiting up to a deadline: for a condition that the kernel does not report, or for a file descriptor."""

from __future__ import annotations

import select
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    T = TypeVar("T")


def until(look: Callable[[], T], deadline: float, pause: float) -> T:
    """Call *look* until it returns a true value, and return that; after *deadline*, return the last, false value.

    The deadline is a time of time.monotonic(); between two calls are *pause* seconds. See clock_nanosleep(2).
    """
    while not (seen := look()) and time.monotonic() <= deadline:
        time.sleep(pause)
    return seen


def readable(fd: int, seconds: float) -> bool:
    """Wait until *fd* can be read without waiting, also at its end of file; False after *seconds*; see poll(2)."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(seconds * 1000))
