"""What has happened to containers, and what happens now: the lines of events.log, read back; see events.py."""

from __future__ import annotations

import json
import os
import time

from tinybox.container.records import naming
from tinybox.container.views import filter_values, rotated_files, units
from tinybox.linux import inotify

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from tinybox.container.records.paths import Paths

    Event = dict[str, Any]

KEYS = ("container", "event", "image", "network", "type")
LOOK_AGAIN = 5.0  # seconds; the kernel tells when there is something new, this is for a queue that ran over


class EventSelection:
    """Which events are wanted: those between *since* and *until* (ns since 1970), of these --filter words.

    Without *since* they are those that come; without *until* there is no end to them.
    """

    def __init__(self, paths: Paths, since: int | None, until: int | None, words: Sequence[str] = ()) -> None:
        self.since = time.time_ns() if since is None else since
        self.until = until
        self._asked = filter_values.pairs(words, KEYS)
        for name in self._asked.get("container", [])[:]:
            self._asked["container"] += naming.target(os.path.join(paths.names, name)).split()

    def __call__(self, event: Event) -> bool:
        """Tell whether *event* is one of them."""
        if not self.since <= event["timeNano"] <= (self.until or event["timeNano"]):
            return False
        return all(any(_agrees(event, key, value) for value in values) for key, values in self._asked.items())

    def is_over(self) -> bool:
        """Tell whether no event can come any more that is wanted."""
        return self.until is not None and time.time_ns() > self.until

    def patience(self) -> float:
        """Return how many seconds to wait at most before looking again."""
        left = LOOK_AGAIN if self.until is None else (self.until - time.time_ns()) / units.SECOND + 0.001
        return min(LOOK_AGAIN, max(left, 0))


def _agrees(event: Event, key: str, value: str) -> bool:
    attributes = event["Attributes"]
    if key in ("container", "network"):
        name, identity = attributes.get("name"), event["id"]
        if event["Type"] != key:
            return key == "container" and bool(value) and attributes.get("container", "").startswith(value)
        return bool(value) and (identity.startswith(value) or name == value)
    if key == "event":
        return value in (event["Action"], event["Action"].partition(":")[0])
    if key == "image":
        return value in (attributes.get("image"), attributes.get("image", "").rpartition(":")[0])
    return bool(event["Type"] == value)


def read(paths: Paths, wanted: EventSelection) -> Iterator[list[Event]]:
    """Yield the wanted events in batches: those that were, then those that come, up to *until*; see inotify(7)."""
    with (
        inotify.Watcher(os.path.dirname(paths.events)) as watcher,
        rotated_files.Lines(paths.events, since=wanted.since) as lines,
    ):
        while True:
            over = wanted.is_over()  # asked before the look: what came until then is seen by it
            for batch in lines.batches():
                yield [event for event in map(parse, batch) if event is not None and wanted(event)]
            if over:
                return
            watcher.wait(wanted.patience())


def parse(line: bytes) -> Event | None:
    """Read one line of events.log, or None if it is damaged."""
    try:
        event: Event = json.loads(line)
        event["timeNano"], event["Action"], event["id"], event["Attributes"], event["Type"]
    except (ValueError, KeyError, TypeError):
        return None
    return event


def line(event: Event) -> str:
    """Return one event as docker writes it: time, type, action, id, and in brackets what else is known."""
    known = ", ".join(f"{key}={value}" for key, value in sorted(event["Attributes"].items()))
    return f"{units.stamp(event['timeNano'])} {event['Type']} {event['Action']} {event['id']} ({known})"
