"""`tinybox replay`: read a trace again and show it, on any machine and without root, with the code that shows a run."""

from __future__ import annotations

import itertools
import textwrap

from tinybox.errors import UsageError, printable
from tinybox.linux import quick_json as json
from tinybox.seeing import inspecting, keyboard, snapshot
from tinybox.seeing.text import LANES, WIDTH

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, TypeAlias

    from tinybox.seeing.keyboard import Keyboard
    from tinybox.seeing.snapshot import Snapshot

    Event: TypeAlias = dict[str, Any]

LONGEST = 1 << 24  # characters of an event; it can be long, because it has all changes of a step
VERSION = 1  # of docs/explain-schema.md
KEYS = "Enter: next step   k: next key step   i: inspect   c: continue   q: leave"


def read(path: str) -> Iterator[Event]:
    """Yield the events of a trace; UsageError for a file that is no trace, or has a later version of the schema."""
    with open(path, encoding="utf-8") as file:
        for number in itertools.count(1):
            line = file.readline(LONGEST)
            if not line:
                return
            event = _event(line, f"{path}, line {number}")
            if number == 1:
                _check(event, path)
            yield event


def _event(line: str, where: str) -> Event:
    try:
        event: Any = json.loads(line)
    except ValueError as error:  # also for a line that was cut because it is longer than LONGEST
        raise UsageError(where, "is no event", "tinybox run --explain=json -o FILE writes a trace") from error
    if not isinstance(event, dict) or not isinstance(event.get("event"), str):
        raise UsageError(where, "is no event", "tinybox run --explain=json -o FILE writes a trace")
    whole: Event = event
    return whole


def _check(event: Event, path: str) -> None:
    version = event.get("trace")
    if event["event"] != "begin" or not isinstance(version, int):
        raise UsageError(path, "is no trace", "tinybox run --explain=json -o FILE writes one")
    if version > VERSION:
        cause = f"has version {version} of the schema, and this tinybox knows version {VERSION}"
        raise UsageError(path, cause, "update tinybox")


class Replay:
    """Passes the events of a trace to *show*; with a *board*, it stops before each step as `--step` does."""

    def __init__(
        self, show: Callable[[Event], None], board: Keyboard | None = None, *, key_steps: bool = False
    ) -> None:
        self.show, self.board, self.key_steps = show, board, key_steps
        self.states: dict[str, Snapshot] = {}

    def run(self, events: Iterator[Event]) -> bool:
        """Show all *events*; return False if the user has left."""
        for event in events:
            try:
                if event["event"] == "step" and self.board and not self._stop(event, self.board):
                    return False
                self.show(event)
                self._note(event)
            except (KeyError, TypeError, AttributeError, ValueError, IndexError) as error:
                cause = f"an event {event['event']} has not the fields of docs/explain-schema.md"
                raise UsageError("trace", cause, "tinybox run --explain=json -o FILE writes a trace") from error
        return True

    def _note(self, event: Event) -> None:
        """Keep the states of parent and child up to date with the events."""
        if event["event"] == "begin":
            self.states["parent"] = event["state"]
        elif event["event"] == "born":
            self.states["child"] = event["state"]
        elif event["event"] == "done":
            lane = event["lane"]
            self.states[lane] = snapshot.changed(self.states.get(lane, {}), event["changes"])
            self.states["child"] = snapshot.changed(self.states.get("child", {}), event.get("child_changes", []))

    def _stop(self, step: Event, board: Keyboard) -> bool:
        if self.key_steps and not step.get("key"):
            return True
        text = f"next: step {step['number']}, {LANES[step['lane']]}, {step['name']}: {step['says']} [{step['manual']}]"
        board.write("".join(f"{line}\n" for line in [*textwrap.wrap(printable(text), WIDTH), KEYS]))
        while True:
            key = board.key()
            if key in ("\n", "\r", " "):
                return True
            if key == "k":
                self.key_steps = True
                return True
            if key == "c":
                self.board = None
                return True
            if key in ("q", keyboard.CTRL_C, keyboard.END):
                return False
            if key == "i":
                board.write("".join(f"{printable(line)}\n" for line in inspecting.lines(self.states)))
            board.write(f"{KEYS}\n")
