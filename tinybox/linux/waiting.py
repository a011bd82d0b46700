"""Waiting for what the kernel tells nobody of: to look again and again, up to a deadline."""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    T = TypeVar("T")


def until(look: Callable[[], T], deadline: float, pause: float) -> T:
    """Call *look* until it returns something true, and return that; after *deadline*, what was seen last.

    The deadline is one of time.monotonic(); between two looks are *pause* seconds. See clock_nanosleep(2).
    """
    while not (seen := look()) and time.monotonic() <= deadline:
        time.sleep(pause)
    return seen
