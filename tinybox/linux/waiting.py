"""Waiting up to a deadline: for a condition that the kernel does not report, or for a file descriptor."""

from __future__ import annotations

import select
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    T = TypeVar("T")


LONGEST = 1e6  # seconds of one poll(2), eleven days


def until(look: Callable[[], T], deadline: float, pause: float) -> T:
    """Call *look* until it returns a true value, and return that; after *deadline*, return the last, false value.

    The deadline is a time of time.monotonic(); between two calls are *pause* seconds. See clock_nanosleep(2).
    """
    while not (seen := look()) and time.monotonic() <= deadline:
        time.sleep(pause)
    return seen


def readable(fd: int, seconds: float, *others: int) -> bool:
    """Wait until *fd* or one of the *others* can be read without waiting, also at its end of file; see poll(2).

    Return False after *seconds*. poll(2) counts milliseconds in an int: a longer wait is made of several.
    """
    poll, deadline = select.poll(), time.monotonic() + seconds
    for each in (fd, *others):
        poll.register(each, select.POLLIN)
    while not (found := poll.poll(min(max(0.0, deadline - time.monotonic()), LONGEST) * 1000)):
        if time.monotonic() >= deadline:
            return False
    return bool(found)
