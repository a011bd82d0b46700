"""logs: read a container's log: all of it, the last lines only (--tail), or new lines as they come (--follow).

The monitor writes the log (monitor/log.py), and readers share only the file with it. So a slow reader delays no other
process.
"""

from __future__ import annotations

import json
import os
import time

from tinybox.container.records import spec, state
from tinybox.container.views import rotated_files, units
from tinybox.errors import StateError
from tinybox.linux import proc
from tinybox.linux.filesystem import inotify, locks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tinybox.container.records.paths import Paths
    from tinybox.container.views.listing import Listed

LOOK_AGAIN = 1.0  # seconds; inotify does not report that a monitor was killed


class Entry:
    """One piece of output: its time (RFC 3339), its *stream*, and its bytes, which are usually one line."""

    __slots__ = ("data", "stream", "time")

    def __init__(self, when: str, stream: str, data: bytes) -> None:
        self.time, self.stream, self.data = when, stream, data


class Selection:
    """The entries to show: between *since* and *until* (ns since 1970; 0 is no limit), only the last *tail* of all."""

    def __init__(self, since: int = 0, until: int = 0, tail: int | None = None) -> None:
        self.since, self.until, self.tail = since, until, tail
        self._first = units.stamp(since) if since else ""  # these times can be compared as text
        self._last = units.stamp(until) if until else "~"

    def entries(self, lines: list[bytes]) -> list[Entry]:
        """Return the selected entries among *lines* of JSON; a line that a full disk has cut is skipped."""
        found = [entry for entry in map(parse, lines) if entry is not None]
        return [entry for entry in found if self._first <= entry.time <= self._last]

    def is_over(self) -> bool:
        """Return whether *until* has passed, so that no selected entry can come any more."""
        return bool(self.until) and time.time_ns() > self.until


class Tail:
    """Accepts the entries of the last *count* lines of output, from the last one on.

    A long line is several entries, of which only the last ends with a newline.
    """

    def __init__(self, count: int) -> None:
        self.left = count
        self.streams: set[str] = set()  # those of which a line was accepted: an entry without newline belongs to it

    def takes(self, row: bytes) -> bool:
        """Return whether *row* of the log is among them; a damaged row is not counted."""
        entry = parse(row)
        if entry is not None and (entry.data.endswith(b"\n") or entry.stream not in self.streams):
            if self.left == 0:
                return False
            self.left -= 1
            self.streams.add(entry.stream)
        return True


def parse(line: bytes) -> Entry | None:
    """Return one line of the log as an entry, or None if the line is damaged."""
    try:
        row = json.loads(line)
        when, stream, text = row["time"], row["stream"], row["log"]
        if isinstance(when, str) and isinstance(stream, str) and when.isprintable():
            return Entry(when, stream, text.encode("utf-8", "surrogateescape"))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        pass
    return None


def check(listed: Listed) -> None:
    """Raise StateError, in docker's words, if the container has no log that can be read."""
    if listed.annotations.get(spec.LOG_DRIVER) == "none":
        cause = "has no log: configured logging driver does not support reading"
        raise StateError(f"container {listed.name or listed.id[:12]}", cause, "run it without --log-driver none")


def read(paths: Paths, container: str, selection: Selection) -> Iterator[list[Entry]]:
    """Yield the selected entries that are in the log now, in batches."""
    with _lines(paths, container, selection) as lines:
        for batch in lines.batches():
            yield selection.entries(batch)


def follow(paths: Paths, container: str, selection: Selection) -> Iterator[list[Entry]]:
    """Yield the selected entries, and then new ones as they come, until the container has ended; see inotify(7).

    Whether it has ended is tested *before* each reading, so that the last reading gets its last output.
    """
    folders = (paths.bundle(container), paths.run_directory(container))
    with inotify.Watcher(*folders) as watcher, _lines(paths, container, selection) as lines:
        while True:
            ended = selection.is_over() or not is_watched(paths, container)
            for batch in lines.batches():
                yield selection.entries(batch)
            if ended:
                return
            watcher.wait(LOOK_AGAIN)


def _lines(paths: Paths, container: str, selection: Selection) -> rotated_files.Lines:
    path = os.path.join(paths.bundle(container), "container.log")
    tail = None if selection.tail is None else Tail(selection.tail).takes
    return rotated_files.Lines(path, tail=tail, since=selection.since)


def is_watched(paths: Paths, container: str) -> bool:
    """Return whether the container has a living owner, which may still write to its log; see flock(2).

    The owner holds the lock from before the first byte until after the last one. The lock is tested only when the
    container's process has ended: a test acquires the lock for a moment, in which another process may need it.
    """
    folder = paths.run_directory(container)
    now = state.seen(paths, container)
    if proc.is_alive(now.get("pid", 0), now.get("startTicks", 0)):
        return True
    try:
        return locks.is_locked(os.path.join(folder, "lock"))
    except FileNotFoundError:
        return False
