"""Format ages, times and sizes as docker does (`3 minutes`, `4.5MiB`), and parse times (`--since 10m`).

All times here are in nanoseconds since 1970, UTC.
"""

from __future__ import annotations

import contextlib
import re
import time

from tinybox.container.monitor import log
from tinybox.errors import UsageError
from tinybox.text_values import duration

SECOND = 1_000_000_000  # in nanoseconds
MINUTE, HOUR, DAY, WEEK, MONTH, YEAR = 60, 3600, 86_400, 604_800, 2_592_000, 31_536_000  # in seconds
NEVER = "0001-01-01T00:00:00Z"  # docker's text for the time of an event that has not happened

# (used below this many seconds, seconds of the unit, name of the unit), from an hour on; docker uses a unit from two of
# it on, and counts whole units of the rounded hours
_AGES = (
    (2 * DAY, HOUR, "hours"),
    (2 * WEEK, DAY, "days"),
    (2 * MONTH, WEEK, "weeks"),
    (2 * YEAR, MONTH, "months"),
)
_DATE = re.compile(r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d(?::\d\d){0,2})([.,]\d{1,9})?)?(Z|[+-]\d\d:\d\d)?")
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_UNIX = re.compile(r"(\d{1,11})(\.\d{1,9})?", re.ASCII)  # up to the year 5138


def age(seconds: float) -> str:
    """Return *seconds* as docker writes a duration: ``3 minutes``, ``About an hour``, in one unit and whole numbers."""
    if seconds < 2:
        return "1 second" if seconds >= 1 else "Less than a second"
    if seconds < MINUTE:
        return f"{int(seconds)} seconds"
    if seconds < HOUR:
        return "About a minute" if seconds < 2 * MINUTE else f"{int(seconds) // MINUTE} minutes"
    hours = int(seconds / HOUR + 0.5)  # only hours are rounded; longer units, except years, are counted from these
    if hours == 1:
        return "About an hour"
    for end, unit, word in _AGES:
        if hours * HOUR < end:
            return f"{hours * HOUR // unit} {word}"
    return f"{int(seconds) // YEAR} years"


def ago(then: int, now: int) -> str:
    """Return how long before *now* the time *then* was: ``3 minutes ago``."""
    return f"{age((now - then) / SECOND)} ago"


def stamp(nanoseconds: int | None) -> str:
    """Return a time in the format of RFC 3339, in UTC, to the nanosecond; for None or 0, docker's NEVER (year 1)."""
    return log.stamp(nanoseconds) if nanoseconds else NEVER


def rfc3339(text: str) -> str:
    """Return *text*, a time that another program has written, or docker's NEVER if it is not in RFC 3339's format."""
    return text if _RFC3339.fullmatch(text) else NEVER


def local(nanoseconds: int) -> str:
    """Return a time as `docker ps` shows it in CreatedAt: ``2026-11-21 21:00:00 +0000 UTC``."""
    return time.strftime("%Y-%m-%d %H:%M:%S %z %Z", time.localtime(nanoseconds // SECOND))


def moment(option: str, text: str, now: int) -> int:
    """Return the time of a value of --since or --until, 1 or later; UsageError, with the *option*, if it is not one.

    The value is a duration before *now* (``10m``; ``-10m`` is after it), seconds since 1970 (``1795294800.5``), or a
    date in the format of RFC 3339, also with the comma of ``date -Ins``; without a time zone it is local time.
    """
    if match := _UNIX.fullmatch(text):
        return max(int(match[1]) * SECOND + _fraction(match[2]), 1)
    sign = text[:1] if text[:1] in ("+", "-") else ""
    if (back := duration(text[len(sign) :])) is not None:
        return max(now + back if sign == "-" else now - back, 1)
    if match := _DATE.fullmatch(text):
        with contextlib.suppress(ValueError, OverflowError):  # a date that does not exist, such as the 31st of February
            return max(_date(*match.groups()), 1)
    cure = "write 10m, 1795294800, 2026-11-21 or 2026-11-21T21:00:00Z"
    raise UsageError(f"{option} {text}", "is not a time", cure)


def _date(day: str, clock: str | None, fraction: str | None, zone: str | None) -> int:
    clock = f"{clock or '00'}:00:00"[:8]
    moment_of_day = time.strptime(f"{day} {clock}", "%Y-%m-%d %H:%M:%S")
    if zone is None:
        return int(time.mktime(moment_of_day)) * SECOND + _fraction(fraction)
    import calendar

    hours, _, minutes = ("+00:00" if zone == "Z" else zone).partition(":")
    offset = (abs(int(hours)) * HOUR + int(minutes) * MINUTE) * (-1 if zone.startswith("-") else 1)
    return (calendar.timegm(moment_of_day) - offset) * SECOND + _fraction(fraction)


def _fraction(text: str | None) -> int:
    """Return the nanoseconds of ``.5``."""
    return int(text[1:].ljust(9, "0")) if text else 0


def binary_size(count: float) -> str:
    """Return a number of bytes in units of 1024, with at most four digits: ``4.5MiB``."""
    return _size(count, 1024, ("B", "KiB", "MiB", "GiB", "TiB", "PiB"), 4)


def decimal_size(count: float, digits: int = 3) -> str:
    """Return a number of bytes in units of 1000, with at most so many *digits*: ``1.2kB``."""
    return _size(count, 1000, ("B", "kB", "MB", "GB", "TB", "PB"), digits)


def _size(count: float, base: int, units: tuple[str, ...], digits: int) -> str:
    power = 0
    while count >= base and power < len(units) - 1:
        count, power = count / base, power + 1
    rounded = float(f"{count:.{digits}g}")  # in two steps, because otherwise 999.9 would be 1e+03
    return f"{rounded:.{digits}g}{units[power]}" if rounded < 10**digits else f"{rounded:.0f}{units[power]}"
