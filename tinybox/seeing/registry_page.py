"""`pull --explain=html` and `push --explain=html`: one page that needs no network, with the keys of the other pages.

Each exchange with the registry is a step of its upper lane, each layer in the store one of the lower lane. The page's
script draws a step; what it needs to know of the steps before is put together here.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tinybox.seeing.page import filled

if TYPE_CHECKING:
    Event = dict[str, Any]

FETCHED = ("Pull complete", "Already exists", "Pushed", "Layer already exists", "Mounted from")


def page(events: list[Event]) -> str:
    """Return the page that shows *events*; text in them that looks like markup is shown as text."""
    found = {each["event"]: each for each in events if each["event"] in ("begin", "image", "end")}
    documents = {each["kind"]: each for each in events if each["event"] == "document"}
    return filled("registry.html", json.dumps({**found, **documents, "steps": _steps(events)}))


def _steps(events: list[Event]) -> list[Event]:
    """Return the steps in the order of time, each with the documents and the states of blobs that it has brought.

    The exchanges of several layers at once come in the order in which their processes tell of them.
    """
    steps: list[Event] = []
    for event in events:
        if event["event"] in ("exchange", "layer"):
            steps.append({**event, "documents": [], "states": {}})
        elif event["event"] == "document" and steps:
            steps[-1]["documents"].append(event)
        elif event["event"] == "state" and steps and event["state"].startswith(FETCHED):
            steps[-1]["states"][event["digest"]] = event["state"]
    return steps
