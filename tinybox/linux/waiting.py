"""Waiting for a condition that the kernel does not report: test it again and again, up to a deadline."""

from __future__ import annotations

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
