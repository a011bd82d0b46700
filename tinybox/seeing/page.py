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

TEMPLATE = os.path.join(os.path.dirname(__file__), "page.html")
_PLACE = "@TRACE@"


def page(events: list[dict[str, Any]]) -> str:
    """Return the page that shows *events*; text in them that looks like markup is shown as text."""
    with open(TEMPLATE, encoding="utf-8") as file:
        template = file.read()
    trace = json.dumps(events, ensure_ascii=False).replace("<", "\\u003c")
    return template.replace(_PLACE, trace)


class Page:
    """Collects events, and writes the page after the last one."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write
        self._events: list[dict[str, Any]] = []

    def show(self, event: dict[str, Any]) -> None:
        """Take one event; `end` is the last."""
        self._events.append(event)
        if event["event"] == "end":
            self._write(page(self._events))
