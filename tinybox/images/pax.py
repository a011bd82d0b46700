"""PAX headers: records of ``LENGTH KEY=VALUE`` and a newline, checked before tarfile searches them; see pax(1).

tarfile has searched a header in time that grows with the square of its size: for a number in a long row of digits, and
for the end of keys whose record is said to be shorter than they are. 250 KB took minutes, or 16 GB of memory. A header
whose records are what their lengths say, without such a row, is searched once.
"""

from __future__ import annotations

import re

from tinybox.errors import ImageError

DIGITS_MOST = 1024  # in a row; a name has at most 255 characters, and a number that means something 20
_LENGTH_DIGITS = 7  # of the length of one record
_ROWS = re.compile(rb"[0-9]+")


def check(header: bytes) -> None:
    """Raise ImageError unless *header* is a list of records, up to the zeros that fill it up."""
    at = 0
    while at < len(header) and header[at]:
        end = _end(header, at)
        if not end:
            raise ImageError("", "its PAX header is no list of records", "the archive is damaged or unsafe")
        at = end
    if max(map(len, _ROWS.findall(header)), default=0) > DIGITS_MOST:
        raise ImageError("", f"its PAX header has more than {DIGITS_MOST} digits in a row", "the archive is unsafe")


def _end(header: bytes, at: int) -> int:
    """Return where the record ends that begins *at*; 0 where it is none."""
    length, blank, _ = header[at : at + _LENGTH_DIGITS + 1].partition(b" ")
    if not (blank and length.isdigit()):
        return 0
    end, key = at + int(length), at + len(length) + 1
    if end > len(header) or header[end - 1 : end] != b"\n" or header.find(b"=", key, end) <= key:
        return 0
    return end
