"""The events of `pull --explain` and `push --explain` as text in a hundred columns."""

from __future__ import annotations

import textwrap

from tinybox.errors import printable
from tinybox.seeing.text import COLOURS, MARGIN, WIDTH

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Event = dict[str, Any]

FILES = 8  # of one layer
KINDS = {"A": ("new", "+"), "C": ("call", "~"), "D": ("gone", "-")}


class RegistryText:
    """Shows events by *write*, each as one block, as soon as it happens."""

    def __init__(self, write: Callable[[str], object], *, colour: bool = False) -> None:
        self._write, self._colour = write, colour

    def show(self, event: Event) -> None:
        """Show one event; ignore unknown kinds."""
        known = getattr(self, f"_{event['event']}", None)
        if known:
            lines: list[tuple[str, str]] = known(event)
            self._write("".join(f"{self._paint(kind, printable(line))}\n" for kind, line in [*lines, ("", "")]))

    def _paint(self, kind: str, line: str) -> str:
        return f"\x1b[{COLOURS[kind]}m{line}\x1b[0m" if kind and self._colour else line

    def _begin(self, event: Event) -> list[tuple[str, str]]:
        where = f"repository {event['repository']} of the registry {event['host']}, {event['reference']}"
        return [("bold", " ".join(event["command"])), ("dim", f"{where}; for {event['platform'] or 'any platform'}")]

    def _exchange(self, event: Event) -> list[tuple[str, str]]:
        head = textwrap.wrap(f"{event['number']:3} {event['says']}", WIDTH, subsequent_indent="    ")
        lines = [("bold", line) for line in head]
        lines.append(("dim", f"{MARGIN}see {event['spec']}; {event['took'] / 1e6:.2f} ms"))
        lines.append(("call", f"{MARGIN}> {event['method']} {event['url']}"))
        lines += [("", f"{MARGIN}> {name}: {value}") for name, value in event["sent"].items()]
        lines.append(("new" if event["status"] < 400 else "gone", f"{MARGIN}< {event['status']}"))
        return lines + [("", f"{MARGIN}< {name}: {value}") for name, value in event["received"].items()]

    def _document(self, event: Event) -> list[tuple[str, str]]:
        lines = [("", f"{MARGIN}the {event['kind']} {event['digest']}")]
        for entry in event.get("entries", []):
            chosen = entry["chosen"]
            mark = "=>" if chosen else "  "
            lines.append(("new" if chosen else "", f"{MARGIN}{mark} {entry['platform']:16} {entry['digest']}"))
        parts = [("config", event["config"])] if "config" in event else []
        parts += [(f"layer {number}", layer) for number, layer in enumerate(event.get("layers", []), 1)]
        return lines + [("", f"{MARGIN}{name:10} {part['digest']} {part['size']:>12} bytes") for name, part in parts]

    def _layer(self, event: Event) -> list[tuple[str, str]]:
        layer = event["layer"]
        lines = [
            ("bold", f"{event['number']:3} Layer {layer['Number']} is a directory of the store: {layer['CreatedBy']}")
        ]
        lines.append(("", f"{MARGIN}{layer['Directory']}"))
        lines.append(("", f"{MARGIN}place {event['place']} of the overlay's lowerdir, where the first one is on top"))
        counts = f"adds {layer['Adds']}, changes {layer['Changes']}, hides {layer['Hides']} files"
        lines.append(("", f"{MARGIN}{counts}; {layer['Size']} bytes, packed {layer['PackedSize']}"))
        for file in event["files"][:FILES]:
            kind, sign = KINDS[file["Kind"]]
            lines.append((kind, f"{MARGIN}{sign} {file['Path']}{mark(file)}"))
        more = len(event["files"]) + event["rest"] - FILES
        return lines + [("dim", f"{MARGIN}and {more} more")] * (more > 0)

    def _image(self, event: Event) -> list[tuple[str, str]]:
        return [("bold", f"The image {event['id'][:12]} appears"), ("", f"{MARGIN}lowerdir={event['lowerdir']}")]

    def _end(self, event: Event) -> list[tuple[str, str]]:
        return [("gone", f"failed: {event['error']}")] if event["error"] else []


def mark(file: Event) -> str:
    """Return how overlayfs is told that a file is hidden."""
    marks = {"whiteout": " (a whiteout: a character device 0:0)", "opaque": " (the directory is opaque)"}
    return marks.get(file.get("How", ""), "")
