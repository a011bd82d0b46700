"""The page of `tinybox watch`: one file with its style and script; it asks a server for looks, or contains them.

A recording has each panel only at the looks at which it differs from the look before.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from tinybox.seeing.page import filled
from tinybox.seeing.watch.look import Pace, row_history

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from tinybox.seeing.watch.look import Box
    from tinybox.seeing.watch.rows import Panel, View

MOST_LOOKS = 3600  # of a recording, an hour


def as_dict(box: Box, view: View) -> dict[str, Any]:
    """Return a view as the script of the page reads it; the last word of a row is the height of a counter's curve."""
    return {
        "name": view.name,
        "id": view.container[:12],
        "status": view.status,
        "pid": view.pid,
        "ended": view.ended,
        "panels": [
            {"name": panel.name, "host": panel.host, "box": panel.box, "rows": _rows(box, panel)}
            for panel in view.panels
        ],
    }


def _rows(box: Box, panel: Panel) -> list[list[Any]]:
    found = []
    for row in panel.rows:
        history = row_history(box, panel, row)
        found.append([row.key, row.host, row.box, row.mark, history[-1] if history else None])
    return found


def live(names: Sequence[str]) -> str:
    """Return the page that asks its server for a look each second; *names* are those of the boxes."""
    return filled("watch/watch.html", json.dumps({"boxes": names, "looks": None}))


class Recording:
    """The looks at some boxes, as the page contains them."""

    def __init__(self, boxes: Sequence[Box]) -> None:
        self._boxes = boxes
        self._former: dict[str, dict[str, Any]] = {}
        self._looks: list[dict[str, Any]] = []
        self._began = time.monotonic()

    def look(self) -> bool:
        """Look at each box once; return whether there is more to see: a box lives, and the recording is not full."""
        views = []
        lives = False
        for box in self._boxes:
            view = box.look()
            lives = lives or not view.ended
            views.append(self._differences(box.id, as_dict(box, view)))
        self._looks.append({"seconds": round(time.monotonic() - self._began, 1), "views": views})
        return lives and len(self._looks) < MOST_LOOKS

    def _differences(self, key: str, view: dict[str, Any]) -> dict[str, Any]:
        former, self._former[key] = self._former.get(key), view
        if former is None:
            return view
        before = {panel["name"]: panel for panel in former["panels"]}
        return {**view, "panels": [panel for panel in view["panels"] if before.get(panel["name"]) != panel]}

    def page(self) -> str:
        """Return the page of all looks so far."""
        return filled(
            "watch/watch.html", json.dumps({"boxes": [box.name for box in self._boxes], "looks": self._looks})
        )


def record(boxes: Sequence[Box], sleep: Callable[[float], object] = time.sleep, most: int = MOST_LOOKS) -> str:
    """Look until every box has ended, after *most* looks, or until KeyboardInterrupt; return the page of the looks."""
    recording, pace = Recording(boxes), Pace()
    try:
        while recording.look() and most > 1:
            most -= 1
            sleep(pace.next())
    except KeyboardInterrupt:
        pass
    return recording.page()
