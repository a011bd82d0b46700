"""Read a file that grows and is rotated (PATH becomes PATH.1, PATH.1 becomes PATH.2) as one stream of lines.

A rename changes a file's name, not the file: a reader that has the file open goes on reading it, and finds its present
name by the inode number. So no line is lost or read twice, whenever the file is rotated. The writers are monitor/log.py
and records/events.py.
"""

from __future__ import annotations

import errno
import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Self

BLOCK = 65536
UNREADABLE = (errno.ENOENT, errno.ELOOP, errno.ENXIO)  # no file, or a link or socket instead
LONGEST = 1 << 22  # bytes of a line; those of tinybox have less than 1 MiB: a longer one is damage, and is passed over


class Lines:
    """The complete lines of PATH and its former generations, oldest first; with *tail*, only the last that it accepts.

    Each call of `batches` yields the lines that were written since the former one. Files that were last changed before
    *since* (ns since 1970) are skipped.
    """

    def __init__(self, path: str, *, tail: Callable[[bytes], bool] | None = None, since: int = 0) -> None:
        self._path = path
        self._files = generations(path)
        self._rest: list[bytes] = []  # the pieces of an incomplete line
        if tail is not None:
            self._seek_to_last(tail)
        while len(self._files) > 1 and os.fstat(self._files[0]).st_mtime_ns < since:
            os.close(self._files.pop(0))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        while self._files:
            os.close(self._files.pop())

    def _seek_to_last(self, tail: Callable[[bytes], bool]) -> None:
        """Keep only the files with the lines that *tail* accepts, and move to the first of these lines."""
        for place in range(len(self._files) - 1, -1, -1):
            if seek_to_last(self._files[place], tail):
                for fd in self._files[:place]:
                    os.close(fd)
                del self._files[:place]
                return

    def batches(self) -> Iterator[list[bytes]]:
        """Yield the lines that were not read yet, in one batch for each read(2)."""
        self._files = self._files or generations(self._path)
        while self._files:
            data = os.read(self._files[0], BLOCK)
            if data:
                self._rest.append(data)
                if b"\n" in data:
                    *lines, rest = b"".join(self._rest).split(b"\n")
                    self._rest = [rest]
                    yield lines
                if sum(map(len, self._rest)) > LONGEST:
                    self._rest = []  # its end is a line that cannot be read
            elif len(self._files) > 1:
                os.close(self._files.pop(0))
                self._rest = []  # an incomplete line, which will not be completed
            elif not self._find_newer():
                return

    def _find_newer(self) -> bool:
        """Open the files that are newer than the last open one, if that was rotated; return whether there are any.

        The caller then reads the former file once more: lines may have been written to it before it was rotated.
        """
        here = _identity(os.fstat(self._files[0]))
        try:
            if _identity(os.stat(self._path)) == here:
                return False
        except FileNotFoundError:
            pass  # the writer has renamed PATH, and has not made the new file yet
        found = generations(self._path)
        known = [_identity(os.fstat(fd)) for fd in found]
        older = known.index(here) + 1 if here in known else 0
        for fd in found[:older]:
            os.close(fd)
        self._files += found[older:]
        return bool(found[older:])


def generations(path: str) -> list[int]:
    """Open PATH and its former generations, and return the fds, oldest first; see open(2).

    The newest file is opened first: so a rotation during this call can only make a file appear twice, never hide it.
    """
    folder, name = os.path.split(path)
    try:
        numbers = [entry[len(name) + 1 :] for entry in os.listdir(folder) if entry.startswith(f"{name}.")]
    except FileNotFoundError:
        return []
    highest = max((int(number) for number in numbers if number.isdecimal()), default=0)
    found: dict[tuple[int, int], int] = {}
    for place in (path, *(f"{path}.{number}" for number in range(1, highest + 2))):
        try:
            fd = os.open(place, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # it does not wait for a fifo
        except OSError as error:
            if error.errno in UNREADABLE:
                continue
            raise
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            continue
        if found.setdefault(_identity(os.fstat(fd)), fd) != fd:
            os.close(fd)
    return list(found.values())[::-1]


def _identity(info: os.stat_result) -> tuple[int, int]:
    return info.st_dev, info.st_ino


def seek_to_last(fd: int, takes: Callable[[bytes], bool]) -> bool:
    """Move *fd* to the first of the last lines that *takes* accepts, which is asked from the last line on; lseek(2).

    Return whether it has refused one, or found a damaged one. A line that is still being written is not asked about.
    """
    end = at = os.lseek(fd, 0, os.SEEK_END)
    rest = b""  # the end of a line whose beginning is in an earlier block
    while at > 0:
        size = min(BLOCK, at)
        at -= size
        data = os.pread(fd, size, at) + rest
        begin = data.find(b"\n") + 1 if at > 0 else 0
        if at > 0 and begin == 0:
            rest = data if len(data) <= LONGEST else b""  # no line is so long: the bytes before it are damage, too
            if not rest:
                break
            continue
        place = at + len(data)
        for line in reversed(data[begin:].split(b"\n")):
            if line and place < end and not takes(line):
                os.lseek(fd, place + 1, os.SEEK_SET)
                return True
            place -= len(line) + 1
        rest = data[:begin]
    os.lseek(fd, at, os.SEEK_SET)
    return at > 0
