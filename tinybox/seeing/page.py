"""A trace as an HTML page: one file that needs no network, with two lanes of steps, and the state after each step.

The page contains the events as JSON; its script makes all that it shows from them, in the browser.
"""

from __future__ import annotations

import json
import os
import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_FOLDER = os.path.dirname(__file__)
_PLACES = re.compile("@([A-Z]+)@")


def page(events: list[dict[str, Any]]) -> str:
    """Return the page that shows *events*; text in them that looks like markup is shown as text."""
    return filled("page.html", json.dumps(events, ensure_ascii=False))


def filled(template: str, data: str, **parts: str) -> str:
    """Return the page *template*, a file of this folder, with the JSON text *data*, and what the pages share, in it.

    *parts* is more of a page's own HTML: ``body="..."`` takes the place of ``@BODY@``.
    """
    made = {name.upper(): text for name, text in parts.items()}
    made |= {"STYLE": _read("page.css").strip(), "SCRIPT": _read("page.js").strip()}
    made["TRACE"] = data.replace("<", "\\u003c")
    return _PLACES.sub(lambda place: made.get(place[1], place[0]), _read(template))  # at once: words of a part stay


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
