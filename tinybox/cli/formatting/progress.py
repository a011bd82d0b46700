"""The progress of a pull or a push: a bar for each layer on a terminal, one line for each change elsewhere.

The package rich draws the bars. It is imported only if stdout is a terminal.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from tinybox.images.registry.layers import Report

if TYPE_CHECKING:
    from typing import Self

    from tinybox.images.reference import Reference
    from tinybox.images.registry.manifests import Descriptor

SHORT = 12  # hex digits of a layer's digest in a line, as docker's
ENDED = ("Already exists", "Layer already exists", "Pull complete", "Pushed", "Mounted from")


def progress(*, quiet: bool = False, beginning: str = "") -> Lines:
    """Return the report that fits stdout; *quiet* prints nothing, *beginning* is the line before the layers."""
    if quiet:
        return Silent()
    return Bars(beginning) if sys.stdout.isatty() else Lines(beginning)


class Lines(Report):
    """One line for each layer that has changed its state, in docker's words: for a log, a pipe, a file."""

    def __init__(self, beginning: str = "") -> None:
        self._beginning = beginning

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Do nothing: a line is complete when it is printed."""

    def say(self, line: str) -> None:
        """Print *line*, which is not about a layer."""
        print(line, flush=True)

    def resolved(self, _: Reference, __: list[Descriptor]) -> None:
        """Print the first line."""
        if self._beginning:
            self.say(self._beginning)

    def layer(self, digest: str, state: str, current: int = 0, total: int = 0) -> None:
        """Print the layer's new *state*; bytes on the way are not printed."""
        if not current or current == total:
            print(f"{digest[7 : 7 + SHORT]}: {state}", flush=True)


class Silent(Lines):
    """Nothing: --quiet."""

    def say(self, line: str) -> None:
        """Print nothing."""

    def layer(self, digest: str, state: str, current: int = 0, total: int = 0) -> None:
        """Print nothing."""


class Bars(Lines):
    """A line for each layer on a terminal, with a bar while its bytes are on the way."""

    def __init__(self, beginning: str = "") -> None:
        super().__init__(beginning)
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

        columns = [TextColumn("{task.description}"), BarColumn(40), DownloadColumn()]
        self._progress: Any = Progress(*columns)
        self._tasks: dict[str, Any] = {}

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def say(self, line: str) -> None:
        """Print *line* above the bars."""
        self._progress.console.print(line, markup=False, highlight=False)

    def resolved(self, reference: Reference, layers: list[Descriptor]) -> None:
        """Print the first line, and add a line for each of the *layers*."""
        super().resolved(reference, layers)
        for layer in dict.fromkeys(layers):
            self._tasks[layer.digest] = self._progress.add_task(layer.digest[7 : 7 + SHORT], total=layer.size)

    def layer(self, digest: str, state: str, current: int = 0, total: int = 0) -> None:
        """Show the layer's *state*, and how many of its bytes have been sent."""
        task = self._tasks[digest]
        text = f"{digest[7 : 7 + SHORT]}: {state}"
        self._progress.update(task, description=text, completed=total if state.startswith(ENDED) else current)
