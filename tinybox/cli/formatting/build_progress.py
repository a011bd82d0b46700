"""The progress of a build on stderr, in the form of docker's `--progress plain`: `#5 [2/4] RUN make`, `#5 DONE 0.4s`.

Only steps that may make a layer are shown, as in docker. Stages that are built side by side mix their lines; the number
in front tells which step a line belongs to.
"""

from __future__ import annotations

import sys
import time

from tinybox.build.building import Report, Result, Step
from tinybox.errors import printable


class Plain(Report):
    """One line for each event; on a terminal (*dims*) the output of programs is dim."""

    def __init__(self, *, dims: bool = False) -> None:
        self._numbers: dict[tuple[int, int], int] = {}
        self._begun: dict[tuple[int, int], float] = {}
        self._dim = ("\x1b[2m", "\x1b[0m") if dims else ("", "")

    def begin(self, step: Step) -> None:
        """Print the step's number, its place and its text."""
        if step.number:
            self._numbers[step.id] = len(self._numbers) + 1
            self._begun[step.id] = time.monotonic()
            self._print(step, f"[{step.stage}{' ' * bool(step.stage)}{step.number}/{step.total}] {_safe(step.text)}")

    def output(self, step: Step, line: str) -> None:
        """Print a line of the program, with the time since the step began."""
        on, off = self._dim
        self._print(step, f"{time.monotonic() - self._begun[step.id]:.3f} {on}{_safe(line)}{off}")

    def end(self, step: Step, result: Result) -> None:
        """Print that the step is done."""
        if step.number:
            self._print(step, "CACHED" if result.cached else f"DONE {result.seconds:.1f}s")

    def warn(self, line: str) -> None:
        """Print a warning."""
        print(printable(line), file=sys.stderr)

    def _print(self, step: Step, text: str) -> None:
        print(f"#{self._numbers[step.id]} {text}", file=sys.stderr, flush=True)


def _safe(line: str) -> str:
    """Return a line that is safe for a terminal; tabs are kept, what stands before a carriage return is not."""
    return "\t".join(map(printable, line.rstrip("\r").rpartition("\r")[2].split("\t")))
