"""Waiting for a condition: its last value is returned, the deadline is kept, and it is always called once."""

from __future__ import annotations

import math
import time

from tests.support.slowness import SLOWNESS
from tinybox.linux.waiting import until

PAUSE = 0.001


def test_what_was_seen_is_returned() -> None:
    """The first look that shows something true ends the waiting, however far the deadline is."""
    looks = iter([0, "", None, "there", "never asked for"])
    assert until(lambda: next(looks), math.inf, PAUSE) == "there"
    assert next(looks) == "never asked for"


def test_a_deadline_is_kept() -> None:
    """After the deadline, and not before, the wait ends with the last, false value."""
    begun = time.monotonic()
    assert until(lambda: 0, begun + 0.05, PAUSE) == 0
    assert 0.05 <= time.monotonic() - begun < 5 * SLOWNESS


def test_a_deadline_that_is_over_leaves_one_look() -> None:
    """With a deadline in the past the condition is called once, and there is no sleep."""
    looks: list[float] = []

    def look() -> bool:
        looks.append(time.monotonic())
        return len(looks) > 1

    assert not until(look, time.monotonic() - 1, 60)
    assert len(looks) == 1
    assert until(look, time.monotonic() - 1, 60)
