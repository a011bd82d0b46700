"""What a container has said, read back from its log: the oldest first, the last lines only, or as it comes.

The monitor writes (see log.py), readers read; they meet nowhere but in the file, so a slow reader holds up nobody.
"""

from __future__ import annotations

import json
import os
import time

from tinybox.container.views import rotated_files, units
from tinybox.linux import inotify, proc, quick_json
from tinybox.linux.locks import is_locked

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tinybox.container.records.paths import Paths

LOOK_AGAIN = 1.0  # seconds; a monitor that is killed leaves no event behind


class Entry:
    """One piece of output: when it came (RFC 3339), from which *stream*, and its bytes, most often a line."""

    __slots__ = ("data", "stream", "time")

    def __init__(self, when: str, stream: str, data: bytes) -> None:
        self.time, self.stream, self.data = when, stream, data


class Selection:
    """Which entries are wanted: those between *since* and *until* (ns since 1970, 0: open), the last *tail* of all."""

    def __init__(self, since: int = 0, until: int = 0, tail: int | None = None) -> None:
        self.since, self.until, self.tail = since, until, tail
        self._first = units.stamp(since) if since else ""  # these times can be compared as text
        self._last = units.stamp(until) if until else "~"

    def entries(self, lines: list[bytes]) -> list[Entry]:
        """Return the wanted entries among *lines* of JSON; one that was cut by a full disk is passed over."""
        found = [entry for entry in map(parse, lines) if entry is not None]
        return [entry for entry in found if self._first <= entry.time <= self._last]

    def is_over(self) -> bool:
        """Tell whether nothing more can come that is wanted."""
        return bool(self.until) and time.time_ns() > self.until


def parse(line: bytes) -> Entry | None:
    """Read one line of the log, or None if it is damaged."""
    try:
        row = json.loads(line)
        return Entry(row["time"], row["stream"], row["log"].encode("utf-8", "surrogateescape"))
    except (ValueError, KeyError, TypeError):
        return None


def read(paths: Paths, container: str, selection: Selection) -> Iterator[list[Entry]]:
    """Yield what the log has, in batches."""
    with _lines(paths, container, selection) as lines:
        for batch in lines.batches():
            yield selection.entries(batch)


def follow(paths: Paths, container: str, selection: Selection) -> Iterator[list[Entry]]:
    """Yield what the log has, and then what comes, until the container has ended; see inotify(7).

    That it has ended is asked *before* each look, so what it said last is seen by the last one.
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
    return rotated_files.Lines(path, tail=selection.tail, since=selection.since)


def is_watched(paths: Paths, container: str) -> bool:
    """Tell whether somebody watches over the container, and so may write to its log; see flock(2).

    Its owner keeps the lock file from before the first byte until after the last one. Whether the lock is held is only
    asked when the container's process has gone: for to ask is to take it, and others might want it just then.
    """
    folder = paths.run_directory(container)
    now = quick_json.read_object(os.path.join(folder, "state.json"))
    if now is not None and proc.is_alive(now.get("pid", 0), now.get("startTicks", 0)):
        return True
    try:
        return is_locked(os.path.join(folder, "lock"))
    except FileNotFoundError:
        return False
