"""events: read past and new events from ROOT/events.log, which records/events.py writes, and select some of them."""

from __future__ import annotations

import os
import time

from tinybox.container.records import naming
from tinybox.container.views import filter_values, rotated_files, units
from tinybox.linux import quick_json
from tinybox.linux.filesystem import inotify

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from tinybox.container.records.paths import Paths

    Event = dict[str, Any]

KEYS = ("container", "event", "image", "label", "network", "scope", "type", "volume")
SHAPE: Event = {  # see quick_json.misfit
    "timeNano!": range(1 << 63),
    "Attributes!": {"*": str},
    **dict.fromkeys(("Action!", "id!", "Type!"), str),
}
LOOK_AGAIN = 5.0  # seconds; inotify reports new lines; this is for events lost when its queue overflows


class EventSelection:
    """The events to show: between *since* and *until* (ns since 1970), and matching the --filter options *words*.

    Without *since* only new events are shown; without *until* the selection never ends.
    """

    def __init__(self, paths: Paths, since: int | None, until: int | None, words: Sequence[str] = ()) -> None:
        self.since = time.time_ns() if since is None else since
        self.until = until
        self._filters = filter_values.pairs(words, KEYS)
        for name in self._filters.get("container", [])[:]:
            self._filters["container"] += naming.target(os.path.join(paths.names, name)).split()

    def __call__(self, event: Event) -> bool:
        """Return whether *event* is selected."""
        if not self.since <= event["timeNano"] <= (self.until or event["timeNano"]):
            return False
        return all(
            (all if key == "label" else any)(_agrees(event, key, value) for value in values)
            for key, values in self._filters.items()
        )

    def is_over(self) -> bool:
        """Return whether *until* has passed, so that no selected event can come any more."""
        return self.until is not None and time.time_ns() > self.until

    def patience(self) -> float:
        """Return the most seconds to wait before reading the file again."""
        left = LOOK_AGAIN if self.until is None else (self.until - time.time_ns()) / units.SECOND + 0.001
        return min(LOOK_AGAIN, max(left, 0))


def _agrees(event: Event, key: str, value: str) -> bool:
    """Return whether *event* has this *value* of the filter *key*."""
    attributes, identity = event["Attributes"], event["id"]
    if key in ("container", "network", "volume"):
        return bool(value) and _is_about(event, key, value)
    if key == "label":
        name, has_value, wanted = value.partition("=")
        return name in attributes and (not has_value or attributes[name] == wanted)
    known: tuple[str, ...] = ("local",) if key == "scope" else (event["Type"],)
    if key == "event":
        known = (event["Action"], event["Action"].partition(":")[0])
    elif key == "image":
        name = attributes.get("name" if event["Type"] == key else "image", "")
        known = (name, name.rpartition(":")[0], identity, identity.rpartition(":")[0])
    return value in known


def _is_about(event: Event, kind: str, word: str) -> bool:
    """Return whether *event* is about the thing of this *kind* whose id or name begins with *word*.

    An event of a network or a volume is also about the container that it names.
    """
    if event["Type"] == kind:
        return bool(event["id"].startswith(word) or event["Attributes"].get("name", "").startswith(word))
    return kind == "container" and bool(event["Attributes"].get("container", "").startswith(word))


def read(paths: Paths, wanted: EventSelection) -> Iterator[list[Event]]:
    """Yield the *wanted* events in batches: past events, then new ones, up to their *until*; see inotify(7)."""
    with (
        inotify.Watcher(os.path.dirname(paths.events)) as watcher,
        rotated_files.Lines(paths.events, since=wanted.since) as lines,
    ):
        while True:
            over = wanted.is_over()  # tested before reading, so that all events up to that moment are read
            for batch in lines.batches():
                yield [event for event in map(parse, batch) if event is not None and wanted(event)]
            if over:
                return
            watcher.wait(wanted.patience())


def parse(line: bytes) -> Event | None:
    """Return one line of events.log as an event, or None if the line is damaged."""
    try:
        event: Event = quick_json.loads(line.decode())
    except ValueError:
        return None
    return None if quick_json.misfit(event, SHAPE) else event


def line(event: Event) -> str:
    """Return one event in docker's format: time, type, action, id, and its other attributes in parentheses."""
    known = ", ".join(f"{key}={value}" for key, value in sorted(event["Attributes"].items()))
    text = f"{units.stamp(event['timeNano'])} {event['Type']} {event['Action']} {event['id']}"
    return f"{text} ({known})" if known else text
