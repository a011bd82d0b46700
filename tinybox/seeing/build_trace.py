"""`tinybox build --explain`: the events of a build, in the order of time; docs/building.md describes them.

Each instruction is a step. When it is done, the trace tells what has become of the stage: the layer with what it adds,
changes and hides, or the part of the config that is another one now.
"""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Any

from tinybox.build.building import Report
from tinybox.images import layer_report
from tinybox.images.layer_changes import Stack
from tinybox.images.store import layer_key, layer_record

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Self

    from tinybox.build.building import Result, Step, Wish
    from tinybox.images.store import Store

    Event = dict[str, Any]

VERSION = 1
FILES_MOST = 200  # of one layer: the first ones
LINES_MOST = 1000  # of the output of one step
TEXT_MOST = 1 << 16  # characters of the Containerfile that are shown
SAYS = {
    "FROM": "Begin a stage: take the layers and the config of a base",
    "RUN": "Run a program in a box of tinybox; what it has changed becomes a layer",
    "COPY": "Copy files of the context, a stage or an image; they become a layer",
    "ADD": "Copy files, unpack an archive or fetch a URL; the files become a layer",
    "WORKDIR": "Set the directory of what follows; if it is missing, it becomes a layer",
    "ARG": "Declare a variable of this build; the image does not have it",
    "ONBUILD": "Keep an instruction for the builds that begin with this image",
}
CONFIG = "Change the config: no file changes, so there is no layer"
CACHED = "The cache has the layer of this instruction: nothing is carried out"


class _Stage:
    """What the trace knows of a stage: its *layers* so far, the *stack* that they come to, and its *config*."""

    def __init__(self) -> None:
        self.layers: list[Event] = []
        self.stack = Stack()
        self.config: dict[str, Any] = {}


class BuildTrace(Report):
    """Hands every event to *show*, and the progress on to *progress*; the context's end is the last event."""

    def __init__(self, store: Store, wish: Wish, progress: Report, show: Callable[[Event], object]) -> None:
        self._root, self._progress, self._show = store.root, progress, show
        self._start = time.monotonic_ns()
        self._numbers: dict[tuple[int, int], int] = {}
        self._lines: dict[tuple[int, int], int] = {}
        self._stages: dict[int, _Stage] = {}
        system = os.uname()
        self._show({
            "event": "begin", "build": VERSION, "command": ["tinybox", *sys.argv[1:]], "file": wish.file,
            "text": wish.content.decode("utf-8", "replace")[:TEXT_MOST], "kernel": system.release,
            "machine": system.machine,
        })  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        self._show({"event": "end", "at": self._now(), "error": str(error) if error else None})

    def begin(self, step: Step) -> None:
        """Show the step, and pass it on."""
        self._progress.begin(step)
        number = self._numbers[step.id] = len(self._numbers) + 1
        name = step.text.partition(" ")[0]
        self._show({
            "event": "step", "number": number, "stage": step.stage or "stage-0", "lane": step.id[0], "text": step.text,
            "place": step.place, "says": SAYS.get(name, CONFIG), "at": self._now(),
        })  # fmt: skip

    def output(self, step: Step, line: str) -> None:
        """Show a line of the program, and pass it on."""
        self._progress.output(step, line)
        self._lines[step.id] = self._lines.get(step.id, 0) + 1
        if self._lines[step.id] <= LINES_MOST:
            self._show({"event": "output", "number": self._numbers[step.id], "line": line, "at": self._now()})

    def end(self, step: Step, result: Result) -> None:
        """Show what has become of the stage, and pass it on."""
        self._progress.end(step, result)
        stage = self._stages.setdefault(step.id[0], _Stage())
        fresh = self._stacked(stage, result.diff_ids[len(stage.layers) :])
        changed = _changed(stage.config, result.config)
        stage.config = result.config
        self._show({
            "event": "done", "number": self._numbers[step.id], "at": self._now(), "took": int(result.seconds * 1e9),
            "cached": CACHED if result.cached else "", "key": result.key, "config": changed, "fresh": fresh,
        })  # fmt: skip

    def warn(self, line: str) -> None:
        """Show a warning, and pass it on."""
        self._progress.warn(line)
        self._show({"event": "warning", "line": line, "at": self._now()})

    def image(self, store: Store, image_id: str, names: Sequence[object]) -> None:
        """Show the image, which is in the store now."""
        trees = store.image(image_id).layers
        lower = ":".join(reversed(trees))
        self._show(
            {"event": "image", "id": image_id, "names": [*map(str, names)], "lowerdir": lower, "at": self._now()}
        )

    def _stacked(self, stage: _Stage, diff_ids: list[str]) -> list[Event]:
        """Put the layers *diff_ids* on those of the stage, and return what each one changes."""
        fresh: list[Event] = []
        for diff_id in diff_ids:
            folder = f"{self._root}/layers/{layer_key(diff_id)}"
            changes = stage.stack.add(f"{folder}/fs", len(stage.layers) + len(fresh) + 1)
            kinds = [change.kind for change in changes]
            fresh.append({
                "digest": diff_id, "directory": f"{folder}/fs", "size": layer_record(folder)["size"],
                "adds": kinds.count("A"), "changes": kinds.count("C"), "hides": kinds.count("D"),
                "files": [layer_report.change_as_dict(change) for change in changes[:FILES_MOST]],
                "rest": max(0, len(changes) - FILES_MOST),
            })  # fmt: skip
        stage.layers += fresh
        return fresh

    def _now(self) -> int:
        return time.monotonic_ns() - self._start


def _changed(former: dict[str, Any], config: dict[str, Any]) -> dict[str, Any]:
    """Return the keys of the config that have another value now; None: the key is gone."""
    keys = sorted(former.keys() | config.keys())
    return {key: config.get(key) for key in keys if former.get(key) != config.get(key)}
