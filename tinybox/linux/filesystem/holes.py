"""Holes: the parts of a file that take no space on the disk; see SEEK_DATA and SEEK_HOLE in lseek(2).

A file with holes is copied by its data only. Zeros that come without a map, as in most archives, become holes again if
they fill a block: a reader cannot tell the two apart.
"""

from __future__ import annotations

import errno
import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Self

    Span = tuple[int, int]  # the offset and the length of a part with data

BLOCK = 4096  # bytes, the smallest hole on most file systems
SPANS_MOST = 4096  # parts with data that are kept apart: of more, those with the smallest holes between them are joined
_ZEROS = bytes(BLOCK)
_BUFFER = 1 << 18  # bytes


def spans(fd: int, size: int) -> list[Span]:
    """Return the parts of the first *size* bytes of the file *fd* that have data, in order; see SEEK_DATA, lseek(2).

    A file system without holes, or a kernel file, is one part.
    """
    found: list[Span] = []
    end = least = 0
    while end < size:
        try:
            start = os.lseek(fd, end, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # no data after this offset
                break
            if error.errno != errno.EINVAL:
                raise
            return [(0, size)]
        end = min(os.lseek(fd, start, os.SEEK_HOLE), size)
        if start >= size:
            break
        found.append((start, end - start))
        while len(found) > SPANS_MOST:
            least = max(2 * least, BLOCK)
            found = _joined(found, least)
    return found


def _joined(found: Iterable[Span], least: int) -> list[Span]:
    """Return the parts without the holes of *least* bytes or less between them."""
    joined: list[Span] = []
    for start, length in found:
        if joined and start - sum(joined[-1]) <= least:
            first = joined.pop()[0]
            joined.append((first, start + length - first))
        else:
            joined.append((start, length))
    return joined


def is_sparse(info: os.stat_result) -> bool:
    """Return whether the file may have holes: it has fewer blocks than its size needs; see stat(2)."""
    return stat.S_ISREG(info.st_mode) and info.st_blocks * 512 < info.st_size


def copy(source: int, target: int) -> None:
    """Copy the regular file *source* to the empty file *target*, with its holes; see sendfile(2)."""
    size = os.fstat(source).st_size
    for start, length in spans(source, size):
        os.lseek(target, start, os.SEEK_SET)
        offset = start
        while offset < start + length:
            sent = os.sendfile(target, source, offset, start + length - offset)
            if not sent:
                break  # another process has cut it short
            offset += sent
    os.ftruncate(target, size)


def put(fd: int, size: int, parts: Sequence[Span], pieces: Iterable[bytes], *, finds_zeros: bool) -> None:
    """Write a file of *size* bytes to the empty file *fd*: the *parts* with data are in *pieces*, one after the other.

    With *finds_zeros*, blocks of zeros in the data become holes, too. See pwrite(2) and ftruncate(2).
    """
    waiting = iter(parts)
    offset = left = end = 0
    for piece in pieces:
        at = 0
        while at < len(piece):
            while not left:
                offset, left = next(waiting)
            count = min(left, len(piece) - at)
            end = max(end, _write(fd, offset, piece[at : at + count], finds_zeros=finds_zeros))
            offset, left, at = offset + count, left - count, at + count
    if end < size:
        os.ftruncate(fd, size)


def _write(fd: int, offset: int, data: bytes, *, finds_zeros: bool) -> int:
    """Write *data* at *offset*, without blocks of zeros if *finds_zeros*; return the end of what was written."""
    if not finds_zeros or _ZEROS not in data:
        return _write_all(fd, offset, data)
    end = at = 0
    for start, length in _with_data(data, offset):
        at = offset + start
        end = _write_all(fd, at, data[start : start + length])
    return end


def _with_data(data: bytes, offset: int) -> Iterable[Span]:
    """Yield the parts of *data*, which begins at *offset* of a file, between its blocks of zeros."""
    start = at = 0
    while at < len(data):
        following = min(at + BLOCK - (offset + at) % BLOCK, len(data))
        if following - at == BLOCK and data[at:following] == _ZEROS:
            if start < at:
                yield start, at - start
            start = following
        at = following
    if start < at:
        yield start, at - start


def _write_all(fd: int, offset: int, data: bytes) -> int:
    while data:
        written = os.pwrite(fd, data, offset)
        offset, data = offset + written, data[written:]
    return offset


class Writer:
    """Writes to the open file *fd*; at the end of a regular file, blocks of zeros become holes.

    A pipe, a terminal, and a file to which others append get the zeros. As a context manager it writes the rest at the
    end, and sets the length of a file that ends in a hole.
    """

    def __init__(self, fd: int) -> None:
        self._fd, self._at, self._end = fd, 0, 0
        self._pending = bytearray()
        self._has_holes = False
        if stat.S_ISREG(os.fstat(fd).st_mode):
            import fcntl

            self._at = self._end = os.lseek(fd, 0, os.SEEK_CUR)
            is_at_end = os.fstat(fd).st_size <= self._at
            self._has_holes = is_at_end and not fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_APPEND

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self.flush()
            if self._end < self._at:
                os.ftruncate(self._fd, self._at)

    def write(self, data: bytes, /) -> int:
        """Write all of *data*, now or later."""
        self._pending += data
        if len(self._pending) >= _BUFFER:
            self.flush()
        return len(data)

    def flush(self) -> None:
        """Write what is pending, see write(2); the position of a file is then after it, also in a hole."""
        data, self._pending = bytes(self._pending), bytearray()
        if self._has_holes:
            self._end = max(self._end, _write(self._fd, self._at, data, finds_zeros=True))
            self._at = os.lseek(self._fd, self._at + len(data), os.SEEK_SET)
            return
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._fd, rest) :]
