"""Write and rotate a container's log (json-file): each line of stdout and stderr as one line of JSON.

The owner of the container writes it to BUNDLE/container.log; if it is killed, unfinished lines and unread output are
lost. The format is docker's json-file. A byte that is not UTF-8 is kept as a lone surrogate, so that no byte is lost.
"""

from __future__ import annotations

import os
import time

from tinybox.container.records import spec
from tinybox.linux import quick_json as json
from tinybox.linux.filesystem import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinybox.container.lifecycle import Container
    from tinybox.container.monitor.log_forwarding import Target

LINE_MAX = 16384  # bytes; a longer line is cut into pieces, and only the last of them ends with the newline


class Log:
    """The log at *path* and its *max_files* - 1 older files, each smaller than *max_size* bytes (0: no limit)."""

    def __init__(self, path: str, max_size: int = 0, max_files: int = 1) -> None:
        self.path, self.max_size, self.max_files = path, max_size, max_files
        self._partial = {"stdout": b"", "stderr": b""}
        self._lost = 0  # lines that could not be written since the last one that was
        self._torn = False  # whether the file ends in the midst of a line
        self.target: Target | None = None  # the program that gets each line, too
        self.failure = ""  # the first error, as text; the log lacks lines then, or is larger than its limit
        self._fd = _file_at(path)
        self._size = os.fstat(self._fd).st_size

    def write(self, stream: str, data: bytes) -> None:
        """Append *data* of *stream* (``stdout`` or ``stderr``); an unfinished line waits for its newline.

        An error (a full disk, no free descriptor) is none of the container's: lines are lost then, and the next line
        that can be written says how many. See `failure`.
        """
        *lines, rest = (self._partial[stream] + data).split(b"\n")
        pieces = [piece for line in lines for piece in _pieces(line + b"\n")]
        *whole, self._partial[stream] = _pieces(rest)
        self._append(stream, pieces + whole)

    def _append(self, stream: str, pieces: list[bytes]) -> None:
        if not pieces:
            return
        if self.target is not None:
            for piece in pieces:
                self.failure = self.target.send(stream, piece) or self.failure
        now, size, waiting, rotates = stamp(time.time_ns()), self._size, list[bytes](), bool(self.max_size)
        if self._lost:
            waiting.append(_row("stderr", f"tinybox: {self._lost} lines are not logged: {self.failure}\n", now))
        for piece in pieces:
            line = _row(stream, piece.decode("utf-8", "surrogateescape"), now)
            if rotates and size > 0 and size + len(line) > self.max_size:
                self._put(waiting)
                rotates = self._rotate()
                size, waiting = self._size, []
            size += len(line)
            waiting.append(line)  # joined once, at the end: thousands of short lines may come at once
        self._put(waiting)

    def _put(self, lines: list[bytes]) -> None:
        data = b"\n" * self._torn + b"".join(lines)
        try:
            if self._fd < 0:
                self._fd, self._size = _file_at(self.path), 0
            while data:
                written = os.write(self._fd, data)
                self._torn = written < len(data)
                self._size, data = self._size + written, data[written:]
        except OSError as error:
            left = min(data.count(b"\n"), len(lines))
            self._lost += left - bool(self._lost and left == len(lines))  # without the line about the former ones
            self._fail(error)
        else:
            self._lost = 0 if lines else self._lost

    def _fail(self, error: OSError) -> None:
        self.failure = self.failure or str(error.strerror)

    def _rotate(self) -> bool:
        """Rename PATH to PATH.1, PATH.1 to PATH.2, and so on; remove the oldest file; begin a new PATH.

        Return False if that failed: no inode may be free. The log then goes on in its file, beyond its size.
        """
        try:
            if self.max_files <= 1:
                os.unlink(self.path)
                os.close(self._fd)
                self._fd = -1
                self._fd = _file_at(self.path)
            else:
                files.discard(f"{self.path}.{self.max_files - 1}")
                self._begin_new()
        except OSError as error:
            self._fail(error)
            return False
        self._size, self._torn = 0, False
        return True

    def _begin_new(self) -> None:
        """Make the new file before the renames, so that the present one stays in use if that fails."""
        new = _file_at(f"{self.path}.new")
        try:
            for number in range(self.max_files - 1, 0, -1):
                former = f"{self.path}.{number - 1}" if number > 1 else self.path
                if os.path.exists(former):
                    os.rename(former, f"{self.path}.{number}")
            os.rename(f"{self.path}.new", self.path)
        except OSError:
            os.close(new)
            raise
        os.close(self._fd)
        self._fd = new

    def close(self) -> None:
        """Write the unfinished last lines, and close the file."""
        for stream, rest in self._partial.items():
            self._append(stream, [rest] if rest else [])
            self._partial[stream] = b""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        if self.target is not None:
            self.target.close()


def opened(container: Container) -> Log:
    """Open the log of *container*, with the limits that its --log-opt options set; with --log-driver none, null(4).

    With --log-driver syslog or journald, it also connects to that program; StateError: no program listens there.
    """
    if container.annotations.get(spec.LOG_DRIVER) == "none":
        return Log(os.devnull)
    target = target_of(container)
    log = Log(
        os.path.join(container.bundle, "container.log"),
        int(container.annotations.get(spec.LOG_MAX_SIZE, 0)),
        int(container.annotations.get(spec.LOG_MAX_FILES, 1)),
    )
    log.target = target
    return log


def target_of(container: Container) -> Target | None:
    """Return the connected target of --log-driver syslog or journald; None with the other drivers."""
    if container.annotations.get(spec.LOG_DRIVER, "none") == "none":
        return None
    from tinybox.container.monitor import log_forwarding

    target = log_forwarding.Target(container.id, container.annotations)
    target.connect()
    return target


def _file_at(path: str) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)


def _row(stream: str, text: str, when: str) -> bytes:
    return json.dumps({"log": text, "stream": stream, "time": when}).encode() + b"\n"


def _pieces(line: bytes) -> list[bytes]:
    return [line[at : at + LINE_MAX] for at in range(0, len(line), LINE_MAX)] or [b""]


def stamp(nanoseconds: int) -> str:
    """Return a time, given in *nanoseconds* since 1970, in the format of RFC 3339: UTC, to the nanosecond."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{rest:09}Z"
