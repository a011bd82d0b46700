"""A trace as an HTML page: one file that needs no network, with two lanes of steps, and the state after each step.

The page contains the events as JSON; its script makes all that it shows from them, in the browser.
"""

from __future__ import annotations

import json
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_FOLDER = os.path.dirname(__file__)
_STYLE, _SCRIPT, _PLACE = "@STYLE@", "@SCRIPT@", "@TRACE@"


def page(events: list[dict[str, Any]]) -> str:
    """Return the page that shows *events*; text in them that looks like markup is shown as text."""
    return filled("page.html", json.dumps(events, ensure_ascii=False))


def filled(template: str, data: str) -> str:
    """Return the page *template*, a file of this folder, with the JSON text *data*, and what the pages share, in it."""
    made = _read(template).replace(_STYLE, _read("page.css").strip()).replace(_SCRIPT, _read("page.js").strip())
    return made.replace(_PLACE, data.replace("<", "\\u003c"))


def _read(name: str) -> str:
    with open(os.path.join(_FOLDER, name), encoding="utf-8") as file:
        return file.read()


class Page:
    """Collects events, and writes the page that *render* makes of them after the last one."""

    def __init__(
        self, write: Callable[[str], object], render: Callable[[list[dict[str, Any]]], str] | None = None
    ) -> None:
        self._write, self._render = write, render or page
        self._events: list[dict[str, Any]] = []

    def show(self, event: dict[str, Any]) -> None:
        """Take one event; `end` is the last."""
        self._events.append(event)
        if event["event"] == "end":
            self._write(self._render(self._events))
