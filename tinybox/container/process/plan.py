"""What will be done, as data: a step has a name, a sentence, a page of the manual, an action, and perhaps an undo.

The parent walks its steps and the child walks its own. Nothing is decided on the way: so a plan can be printed before
it is carried out, stopped anywhere, and undone from there.
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
    """One thing that is done: ``act(*args)``; and how it is taken back: ``undo()``, which *undo_says* in words."""

    __slots__ = ("act", "args", "manual", "name", "says", "undo", "undo_says")

    def __init__(self, name: str, says: str, manual: str, act: Callable[..., Any], *args: Any) -> None:
        self.name, self.says, self.manual = name, says, manual
        self.act, self.args = act, args
        self.undo: Callable[[], Any] | None = None
        self.undo_says = ""

    def undone_by(self, says: str, undo: Callable[[], Any]) -> Self:
        """Note how the step is taken back: in words, and as a function."""
        self.undo_says, self.undo = says, undo
        return self

    def __repr__(self) -> str:
        return f"Step({self.name!r}, {self.call()})"

    def call(self) -> str:
        """Return the action as it would be written: ``mount_filesystem(b'/proc', ...)``."""
        return f"{self.act.__name__}({', '.join(_shown(arg) for arg in self.args)})"

    def run(self) -> None:
        """Do it; what the kernel refuses becomes a StepError that names this step."""
        if explain.listeners:
            self._run_told()
        else:
            self._act()

    def _act(self) -> None:
        try:
            self.act(*self.args)
        except TinyboxError:
            raise
        except OSError as error:
            raise StepError(self.name, _told(error), f"{self.says}; see {self.manual}") from error

    def _run_told(self) -> None:
        """Do it, and tell before and after: whoever listens may stop us there, to look or for good."""
        explain.tell(f"begin:{self.name}", self.args, None)
        begun = time.monotonic_ns()
        try:
            self._act()
        except TinyboxError as error:
            explain.tell(f"failed:{self.name}", self.args, str(error), begun)
            raise
        explain.tell(f"step:{self.name}", self.args, None, begun)


class Plan:
    """All the steps of one container, in order: the parent's and the child's; and what of it is not to be had here."""

    def __init__(self, parent: list[Step], child: list[Step], warnings: Sequence[str] = ()) -> None:
        self.parent, self.child, self.warnings = parent, child, list(warnings)

    def lines(self) -> list[str]:
        """Return the plan to be read: one line a step, with who does it, what, and where it is explained."""
        width = max(len(step.name) for step in [*self.parent, *self.child])
        return [
            f"{number:3} {who:6} {step.name:{width}}  {step.says}  [{step.manual}]"
            for number, (who, step) in enumerate(
                [(who, step) for who, steps in (("parent", self.parent), ("child", self.child)) for step in steps], 1
            )
        ]


def _shown(value: object) -> str:
    kind = type(value)
    shown = kind.__name__.lower() if kind.__repr__ is object.__repr__ else repr(value)
    return shown if len(shown) <= 60 else shown[:57] + "..."


def _told(error: OSError) -> str:
    call = getattr(error, "call", "")
    said = f"{call}: {error.strerror}" if call else f"{error.strerror}"
    return f"{said}: {error.filename!s}" if error.filename else said
