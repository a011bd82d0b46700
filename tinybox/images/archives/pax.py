"""PAX headers: check their records, ``LENGTH KEY=VALUE`` and a newline, before tarfile searches them; see pax(1).

tarfile needs time that grows with the square of the header's size in two cases: for a long row of digits, and for
records whose length is smaller than their key. A header of 250 KB took minutes, or 16 GB of memory. If all records have
the right length, and there is no such row of digits, tarfile searches the header once.
"""

from __future__ import annotations

import re

from tinybox.errors import ImageError

DIGITS_MOST = 1024  # in a row; a file name has at most 255 characters, and a useful number 20 digits
_LENGTH_DIGITS = 7  # of the length of one record
_ROWS = re.compile(rb"[0-9]+")


def check(header: bytes) -> None:
    """Raise ImageError unless *header* is a list of records, followed by zeros as padding."""
    at = 0
    while at < len(header) and header[at]:
        end = _end(header, at)
        if not end:
            raise ImageError("", "its PAX header is no list of records", "the archive is damaged or unsafe")
        at = end
    if max(map(len, _ROWS.findall(header)), default=0) > DIGITS_MOST:
        raise ImageError("", f"its PAX header has more than {DIGITS_MOST} digits in a row", "the archive is unsafe")


def _end(header: bytes, at: int) -> int:
    """Return the end of the record that begins *at*; 0 if it is not a valid record."""
    length, blank, _ = header[at : at + _LENGTH_DIGITS + 1].partition(b" ")
    if not (blank and length.isdigit()):
        return 0
    end, key = at + int(length), at + len(length) + 1
    if end > len(header) or header[end - 1 : end] != b"\n" or header.find(b"=", key, end) <= key:
        return 0
    return end
