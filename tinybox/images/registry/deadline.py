"""A limit for the time of several calls together: a server that sends a byte now and then never runs into a timeout.

A timeout of a socket counts from the last byte. The deadline counts from the beginning, by SIGALRM; see setitimer(2).
"""

from __future__ import annotations

import contextlib
import signal
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType


@contextlib.contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Raise TimeoutError in the body if it takes longer than *seconds*; only the main thread can do this."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def too_late(_: int, __: FrameType | None) -> None:
        raise TimeoutError(0, f"no whole answer in {seconds:.0f} seconds")

    former = signal.signal(signal.SIGALRM, too_late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)
