"""The events of `build --explain` as text in a hundred columns."""

from __future__ import annotations

import json
import textwrap

from tinybox.errors import printable
from tinybox.seeing.registry_text import FILES, KINDS, mark
from tinybox.seeing.text import COLOURS, MARGIN, WIDTH

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Event = dict[str, Any]
    Lines = list[tuple[str, str]]

LAYERS = 1  # of the base of a stage: only their number is shown


class BuildText:
    """Shows events by *write*, as soon as they happen; stages that are built side by side mix their lines."""

    def __init__(self, write: Callable[[str], object], *, colour: bool = False) -> None:
        self._write, self._colour = write, colour

    def show(self, event: Event) -> None:
        """Show one event; ignore unknown kinds."""
        known = getattr(self, f"_{event['event']}", None)
        if known:
            lines: Lines = known(event)
            self._write("".join(f"{self._paint(kind, printable(line))}\n" for kind, line in lines))

    def _paint(self, kind: str, line: str) -> str:
        return f"\x1b[{COLOURS[kind]}m{line}\x1b[0m" if kind and self._colour else line

    def _begin(self, event: Event) -> Lines:
        return [("bold", " ".join(event["command"])), ("dim", f"by {event['file']}"), ("", "")]

    def _step(self, event: Event) -> Lines:
        head = textwrap.wrap(f"{event['number']:3} {event['text']}", WIDTH, subsequent_indent="    ")
        return [
            *(("bold", line) for line in head),
            ("", f"{MARGIN}{event['says']}"),
            ("dim", f"{MARGIN}stage {event['stage']}, {event['place']}"),
        ]

    def _output(self, event: Event) -> Lines:
        return [("call", f"{MARGIN}| {event['line']}")]

    def _done(self, event: Event) -> Lines:
        lines = [("new", f"{MARGIN}{event['cached']}")] if event["cached"] else []
        if event["key"]:
            lines.append(("dim", f"{MARGIN}key {event['key'][:16]}; {event['took'] / 1e6:.1f} ms"))
        for key, value in event["config"].items():
            lines.append(("new" if value is not None else "gone", f"{MARGIN}{key} = {json.dumps(value)}"[:WIDTH]))
        fresh = event["fresh"]
        if len(fresh) > LAYERS:
            lines.append(("", f"{MARGIN}{len(fresh)} layers of the base"))
        for layer in fresh if len(fresh) <= LAYERS else ():
            lines += _layer(layer, FILES if event["key"] else 0)
        return [*lines, ("", "")]

    def _warning(self, event: Event) -> Lines:
        return [("gone", event["line"])]

    def _image(self, event: Event) -> Lines:
        named = f", named {', '.join(event['names'])}" if event["names"] else ""
        return [("bold", f"The image {event['id'][:12]} appears{named}"), ("", f"{MARGIN}lowerdir={event['lowerdir']}")]

    def _end(self, event: Event) -> Lines:
        return [("gone", f"failed: {event['error']}")] if event["error"] else []


def _layer(layer: Event, most: int) -> Lines:
    """Return the lines about a layer, with at most so many of its files."""
    counts = f"adds {layer['adds']}, changes {layer['changes']}, hides {layer['hides']} files; {layer['size']} bytes"
    lines = [("", f"{MARGIN}layer {layer['directory']}"), ("", f"{MARGIN}{counts}")]
    for file in layer["files"][:most]:
        kind, sign = KINDS[file["Kind"]]
        lines.append((kind, f"{MARGIN}{sign} {file['Path']}{mark(file)}"))
    more = len(layer["files"]) + layer["rest"] - most
    return lines + [("dim", f"{MARGIN}and {more} more")] * (most > 0 and more > 0)
