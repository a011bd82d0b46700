"""Values that are written as text, by docker's options and by the kernel: numbers, yes and no, and times.

No error is raised here: the caller knows which option was wrong, and names it.
"""

from __future__ import annotations

_TRUTH = {"1": True, "t": True, "true": True, "0": False, "f": False, "false": False}
_LONGEST_NUMBER = 300  # digits of a time: more than any clock counts
_UNITS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_UNITS |= dict.fromkeys(("\u00b5s", "\u03bcs"), 10**3)  # the sign for a millionth, and the Greek letter


def is_whole(text: str) -> bool:
    """Tell whether *text* is a whole number from 0 to 2**64 - 1, in ASCII digits."""
    return text.isascii() and text.isdigit() and len(text) <= 20 and int(text) < 2**64


def truth(text: str) -> bool | None:
    """Return whether *text* says true, as Go's ParseBool reads it (1, t, true, 0, f, false), in any case; else None."""
    return _TRUTH.get(text.lower())


def duration(text: str) -> int | None:
    """Return the nanoseconds of ``1h30m``, ``1.5s`` or ``0``, as Go's ParseDuration reads it; else None."""
    if text == "0":
        return 0
    total, rest = 0, text
    while rest:
        after = rest.lstrip("0123456789.")
        whole, _, part = rest[: len(rest) - len(after)].partition(".")
        unit = after[: len(after) - len(after.lstrip("".join(_UNITS)))]
        if unit not in _UNITS or not whole + part or "." in part or len(whole + part) > _LONGEST_NUMBER:
            return None
        total += int(whole + part or 0) * _UNITS[unit] // 10 ** len(part)
        rest = after[len(unit) :]
    return total if text else None
