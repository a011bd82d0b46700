"""Times as docker writes them."""

from __future__ import annotations

import pytest

from tinybox.container.config.life import duration
from tinybox.errors import UsageError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("1m30s", 90), ("500ms", 0.5), ("1.5h", 5400), ("2us", 2e-6), ("7ns", 7e-9), ("0s", 0), (".5s", 0.5)],
)
def test_durations(text: str, seconds: float) -> None:
    """Numbers with units, one after the other, add up."""
    assert duration("health-interval", text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text", ["30", "s", "1x", "1m30", "1..5s", ".s", "-1s", "1 s", "1mm", "9" * 400 + "s", "9" * 12 + "s"]
)
def test_invalid_durations(text: str) -> None:
    """A text without a unit, without a number or with too many points is an error that names the option."""
    with pytest.raises(UsageError, match="health-interval"):
        duration("health-interval", text)
