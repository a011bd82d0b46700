"""Ages, times and sizes in docker's format, written and parsed."""

from __future__ import annotations

import time

import pytest

from tinybox.container.views import units
from tinybox.errors import UsageError

MINUTE, HOUR, DAY = 60, 3600, 86400
AGES = {
    -1: "Less than a second",
    0.99: "Less than a second",
    1: "1 second",
    1.99: "1 second",
    2: "2 seconds",
    59: "59 seconds",
    60: "About a minute",
    119: "About a minute",
    120: "2 minutes",
    HOUR - 1: "59 minutes",
    HOUR: "About an hour",
    1.5 * HOUR - 1: "About an hour",
    1.5 * HOUR: "2 hours",
    47.4 * HOUR: "47 hours",
    48 * HOUR: "2 days",
    14 * DAY - HOUR: "13 days",
    14 * DAY: "2 weeks",
    60 * DAY - HOUR: "8 weeks",
    60 * DAY: "2 months",
    2 * 365 * DAY - HOUR: "24 months",
    2 * 365 * DAY: "2 years",
}


@pytest.mark.parametrize("seconds", AGES)
def test_ages(seconds: float) -> None:
    """Both sides of every border have the text of docker's HumanDuration."""
    assert units.age(seconds) == AGES[seconds]


NOW = 1_800_000_000 * units.SECOND
MOMENTS = {
    "10m": NOW - 600 * units.SECOND,
    "1h30m": NOW - 5400 * units.SECOND,
    "1.5s": NOW - 1_500_000_000,
    "1795294800": 1795294800 * units.SECOND,
    "1795294800.000000001": 1795294800 * units.SECOND + 1,
    "2026-11-21T21:00:00Z": 1795294800 * units.SECOND,
    "2026-11-21T23:00:00+02:00": 1795294800 * units.SECOND,
    "2026-11-21T21:00:00.123456789Z": 1795294800 * units.SECOND + 123456789,
    "2026-11-21T21:00Z": 1795294800 * units.SECOND,
    "2026-11-21T21Z": 1795294800 * units.SECOND,
    "2026-11-21T23:00:00,000000005+02:00": 1795294800 * units.SECOND + 5,
    "-10m": NOW + 600 * units.SECOND,
    "+10m": NOW - 600 * units.SECOND,
}


@pytest.mark.parametrize("text", MOMENTS)
def test_moments(text: str) -> None:
    """Durations before now, Unix seconds and dates are parsed to the nanosecond."""
    assert units.moment("--since", text, NOW) == MOMENTS[text]


@pytest.mark.parametrize("zone", ["UTC", "JST-9"])
def test_a_date_without_a_zone_is_local(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A date without a zone is in the zone of the caller."""
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    here = units.moment("--since", "2026-11-21T21:00", NOW)
    monkeypatch.undo()
    time.tzset()
    assert here == (1795294800 - (9 * HOUR if zone == "JST-9" else 0)) * units.SECOND


@pytest.mark.parametrize(
    "text",
    ["", "yesterday", "10", "10m 5s", "2026-13-01", "2026-11-21T25:00Z", "m10", "9" * 12, "9" * 5000, "9" * 400 + "h"],
)
def test_invalid_times(text: str) -> None:
    """Anything else is an error that names the option; a bare number is Unix seconds, the control."""
    if text == "10":
        assert units.moment("--since", text, NOW) == 10 * units.SECOND
        return
    with pytest.raises(UsageError, match="--since"):
        units.moment("--since", text, NOW)


def test_a_time_before_1970_is_the_earliest() -> None:
    """Logs have no such time: it becomes the least positive one, because 0 would mean that none was given."""
    assert [units.moment("--since", text, NOW) for text in ("0001-01-01", "0", "9999999h")] == [1, 1, 1]


def test_stamps() -> None:
    """A time is written to the nanosecond; a time that has not happened as docker's year 1."""
    assert units.stamp(1795294800 * units.SECOND + 5) == "2026-11-21T21:00:00.000000005Z"
    assert units.stamp(0) == units.stamp(None) == "0001-01-01T00:00:00Z"


def test_sizes() -> None:
    """Four digits in units of 1024, three in units of 1000, and never an exponent."""
    sizes = [units.binary_size(count) for count in (0, 1023, 1024, 1536 * 1024, 32 << 20, 7 << 40)]
    assert sizes == ["0B", "1023B", "1KiB", "1.5MiB", "32MiB", "7TiB"]
    assert [units.decimal_size(count) for count in (0, 999, 1234, 999_900, 10**9)] == [
        "0B", "999B", "1.23kB", "1000kB", "1GB",
    ]  # fmt: skip
