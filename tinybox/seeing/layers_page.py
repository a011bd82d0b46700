"""The layers of an image or a container as an HTML page: one file that needs no network, for the projector.

The page has the stack as it was made: with the arrow keys a layer is put on the others, and the page shows what it
adds, changes and hides, and which bytes of the lower layers it covers.
"""

from __future__ import annotations

import json

from tinybox.seeing.page import filled

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SHOWN = 200  # files of each list, the largest ones: an image may have 100,000
KINDS = {"A": "adds", "C": "changes", "D": "hides"}


def page(report: dict[str, Any]) -> str:
    """Return the page that shows *report*, a result of views.layers.as_dict; markup in it is shown as text."""
    shown = {key: value for key, value in report.items() if key != "Layers"}
    shown["Layers"] = [_layer(layer) for layer in reversed(report["Layers"])]
    return filled("layers.html", json.dumps(shown))  # ASCII: a file's name need not be UTF-8


def _layer(layer: dict[str, Any]) -> dict[str, Any]:
    """Return what the page shows of a layer: of its files only the largest, and the sum of all."""
    made = {key: value for key, value in layer.items() if key != "Files"}
    for kind, name in KINDS.items():
        files = [file for file in layer["Files"] if file["Kind"] == kind]
        largest = sorted(files, key=lambda file: (-max(file.get("Size", 0), file.get("Former", 0)), file["Path"]))
        made[name] = {
            "size": sum(file.get("Size", 0) for file in files),
            "former": sum(file.get("Former", 0) for file in files),
            "rows": len(files),
            "files": largest[:SHOWN],
        }
    return made
