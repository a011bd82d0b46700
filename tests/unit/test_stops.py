"""The words of --break-at: a step's own name, or the manual page of steps."""

from __future__ import annotations

import pytest

from tinybox.seeing import stepping

NAMES = {"bounding-set", "capabilities", "pivot"}


@pytest.mark.parametrize(
    ("word", "step", "manual", "stops"),
    [
        ("capabilities", "capabilities", "capset(2)", True),
        ("capabilities", "bounding-set", "capabilities(7)", False),  # its page has the name of another step
        ("capabilities(7)", "bounding-set", "capabilities(7)", True),
        ("pivot_root", "pivot", "pivot_root(2)", True),
        ("pivot", "capabilities", "capset(2)", False),
        (stepping.ALL, "pivot", "pivot_root(2)", True),
    ],
)
def test_a_steps_own_name_wins(word: str, step: str, manual: str, *, stops: bool) -> None:
    """A word that is the name of a step means this step only; any other word means the steps with that page."""
    assert stepping.means(word, {"name": step, "manual": manual}, NAMES) == stops
