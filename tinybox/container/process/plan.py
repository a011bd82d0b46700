"""Plan and Step: what will be done, as data. A step has a name, a sentence, a manual page, an action, maybe an undo.

The parent carries out its list of steps, and the child carries out its own. All decisions are made before, so a plan
can be printed before it is carried out (--dry-run), stopped after any step (--step), and undone from there.
"""

from __future__ import annotations

import time

from tinybox import explain
from tinybox.errors import StepError, TinyboxError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, Self


class Step:
    """One action, ``act(*args)``, and its undo: the function ``undo()``, or None, with its sentence *undo_says*."""

    __slots__ = ("act", "args", "manual", "name", "says", "undo", "undo_says")

    def __init__(self, name: str, says: str, manual: str, act: Callable[..., Any], *args: Any) -> None:
        self.name, self.says, self.manual = name, says, manual
        self.act, self.args = act, args
        self.undo: Callable[[], Any] | None = None
        self.undo_says = ""

    def undone_by(self, says: str, undo: Callable[[], Any]) -> Self:
        """Set the function that undoes this step, with the sentence *says*, and return the step."""
        self.undo_says, self.undo = says, undo
        return self

    def __repr__(self) -> str:
        return f"Step({self.name!r}, {self.call()})"

    def call(self) -> str:
        """Return the call as Python code, shortened: ``mount_filesystem(b'/proc', ...)``."""
        return f"{self.act.__name__}({', '.join(_shown(arg) for arg in self.args)})"

    def run(self) -> None:
        """Carry out the step; an OSError becomes a StepError with the name of this step."""
        if explain.listeners:
            self._run_and_report()
        else:
            self._act()

    def _act(self) -> None:
        try:
            self.act(*self.args)
        except TinyboxError:
            raise
        except OSError as error:
            raise StepError(self.name, _cause(error), f"{self.says}; see {self.manual}") from error

    def _run_and_report(self) -> None:
        """Carry out the step, with an event before and after it; a listener may pause or end this process there."""
        explain.report(f"begin:{self.name}", self.args, None)
        begun = time.monotonic_ns()
        try:
            self._act()
        except TinyboxError as error:
            explain.report(f"failed:{self.name}", self.args, str(error), begun)
            raise
        explain.report(f"step:{self.name}", self.args, None, begun)


class Plan:
    """All steps of one container in order, the parent's and the child's; and warnings about what this host lacks."""

    def __init__(self, parent: list[Step], child: list[Step], warnings: Sequence[str] = ()) -> None:
        self.parent, self.child, self.warnings = parent, child, list(warnings)

    def lines(self) -> list[str]:
        """Return the plan as text, one line a step: number, process (host or box), name, sentence, manual page."""
        width = max(len(step.name) for step in [*self.parent, *self.child])
        sides = (("host", self.parent), ("box", self.child))
        return [
            f"{number:3} {side:4} {step.name:{width}}  {step.says}  [{step.manual}]"
            for number, (side, step) in enumerate([(side, step) for side, steps in sides for step in steps], 1)
        ]


def _shown(value: object) -> str:
    kind = type(value)
    shown = kind.__name__.lower() if kind.__repr__ is object.__repr__ else repr(value)
    return shown if len(shown) <= 60 else shown[:57] + "..."


def _cause(error: OSError) -> str:
    call = getattr(error, "call", "")
    text = f"{call}: {error.strerror}" if call else f"{error.strerror}"
    return f"{text}: {error.filename!s}" if error.filename else text
