"""Write and rotate a background container's log (json-file): each line of stdout and stderr as one line of JSON.

The monitor writes it to BUNDLE/container.log; if the monitor is killed, unfinished lines and unread output are lost.
The format is docker's json-file. A byte that is not UTF-8 is kept as a lone surrogate, so that no byte is lost.
"""

from __future__ import annotations

import json
import os
import time

LINE_MAX = 16384  # bytes; a longer line is cut into pieces, and only the last of them ends with the newline


class Log:
    """The log at *path* and its *max_files* - 1 older files, each smaller than *max_size* bytes (0: no limit)."""

    def __init__(self, path: str, max_size: int = 0, max_files: int = 1) -> None:
        self.path, self.max_size, self.max_files = path, max_size, max_files
        self._partial = {"stdout": b"", "stderr": b""}
        self._torn = False
        self._open()

    def _open(self) -> None:
        self._fd = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
        self._size = os.fstat(self._fd).st_size

    def write(self, stream: str, data: bytes) -> None:
        """Append *data* of *stream* (``stdout`` or ``stderr``); an unfinished line waits for its newline."""
        *lines, rest = (self._partial[stream] + data).split(b"\n")
        pieces = [piece for line in lines for piece in _pieces(line + b"\n")]
        *whole, self._partial[stream] = _pieces(rest)
        self._append(stream, pieces + whole)

    def _append(self, stream: str, pieces: list[bytes]) -> None:
        if not pieces:
            return
        now, size, waiting = stamp(time.time_ns()), self._size, list[bytes]()
        for piece in pieces:
            row = {"log": piece.decode("utf-8", "surrogateescape"), "stream": stream, "time": now}
            line = json.dumps(row).encode() + b"\n"
            if self.max_size and size > 0 and size + len(line) > self.max_size:
                self._put(b"".join(waiting))
                self._rotate()
                size, waiting = self._size, []
            size += len(line)
            waiting.append(line)  # joined once, at the end: thousands of short lines may come at once
        self._put(b"".join(waiting))

    def _put(self, data: bytes) -> None:
        try:
            while data:
                written = os.write(self._fd, data)
                self._size, data = self._size + written, data[written:]
        except OSError:  # a full disk: the lines are lost, but the container goes on
            return

    def _rotate(self) -> None:
        """Rename PATH to PATH.1, PATH.1 to PATH.2, and so on; remove the oldest file; open a new PATH."""
        os.close(self._fd)
        for number in range(self.max_files - 1, 0, -1):
            former = f"{self.path}.{number - 1}" if number > 1 else self.path
            if os.path.exists(former):
                os.rename(former, f"{self.path}.{number}")
        if self.max_files <= 1:
            os.unlink(self.path)
        self._open()

    def close(self) -> None:
        """Write the unfinished last lines, and close the file."""
        for stream, rest in self._partial.items():
            self._append(stream, [rest] if rest else [])
            self._partial[stream] = b""
        os.close(self._fd)


def _pieces(line: bytes) -> list[bytes]:
    return [line[at : at + LINE_MAX] for at in range(0, len(line), LINE_MAX)] or [b""]


def stamp(nanoseconds: int) -> str:
    """Return a time, given in *nanoseconds* since 1970, in the format of RFC 3339: UTC, to the nanosecond."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{rest:09}Z"
