"""`build --explain=html`: one page that needs no network, with the keys of the other pages.

Each instruction is a step, each stage a lane. Beside the step the page has the Containerfile, the layers of the stage
so far, and its config.
"""

from __future__ import annotations

import json

from tinybox.seeing.page import filled

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Event = dict[str, Any]


def page(events: list[Event]) -> str:
    """Return the page that shows *events*; text in them that looks like markup is shown as text."""
    found = {each["event"]: each for each in events if each["event"] in ("begin", "image", "end")}
    warnings = [each["line"] for each in events if each["event"] == "warning"]
    return filled("build.html", json.dumps({**found, "warnings": warnings, "steps": _steps(events)}))


def _steps(events: list[Event]) -> list[Event]:
    """Return the steps in the order in which they began, each with its output and what it has done; see build_trace.py.

    A step that failed, or that was ended because another one failed, has no ``done``.
    """
    steps: dict[int, Event] = {}
    for event in events:
        if event["event"] == "step":
            steps[event["number"]] = {**event, "lines": [], "done": None}
        elif event["event"] == "output":
            steps[event["number"]]["lines"].append(event["line"])
        elif event["event"] == "done":
            steps[event["number"]]["done"] = event
    return [*steps.values()]
