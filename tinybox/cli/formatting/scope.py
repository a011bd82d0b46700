"""What a template of --format knows while it is rendered: dot, variables, and how much text it may still make."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinybox.cli.formatting.functions import wrong

if TYPE_CHECKING:
    from collections.abc import Mapping

TEXT_MOST = 1 << 26  # characters that a template may make of one thing, at all levels of its blocks together


class Scope:
    """The data that a part of a template can use: the dot, and the variables by their names; ``$`` is all data."""

    def __init__(self, dot: Any, cells: Mapping[str, list[Any]], left: list[int]) -> None:
        self.dot = dot
        self._cells = dict(cells)
        self._left = left  # one number, which all scopes of a template share

    def within(self, dot: Any, **variables: Any) -> Scope:
        """Return the scope of a block with another dot."""
        return Scope(dot, {**self._cells, **{name: [value] for name, value in variables.items()}}, self._left)

    def value(self, name: str) -> Any:
        """Return the value of the variable *name*; UsageError: there is none."""
        return self._cell(name)[0]

    def set(self, name: str, value: Any, *, is_new: bool) -> None:
        """Set the variable *name*: a new one of this block, or the one that there is, also for the blocks around."""
        if is_new:
            self._cells[name] = [value]
        else:
            self._cell(name)[0] = value

    def _cell(self, name: str) -> list[Any]:
        if name not in self._cells:
            raise wrong(f"no variable {name}; there are: {', '.join(self._cells)}")
        return self._cells[name]

    def spend(self, characters: int) -> None:
        """Count *characters* of output; UsageError: there are more than TEXT_MOST."""
        self._left[0] -= characters
        if self._left[0] < 0:
            raise wrong(f"it makes more than {TEXT_MOST >> 20} MiB of text")


class Leave(Exception):  # noqa: N818  it is no error
    """``break`` or ``continue``, on its way to its range, with the *text* of the round so far."""

    def __init__(self, word: str) -> None:
        self.word, self.text = word, ""


class Shallow:
    """``with Shallow():`` turns the error that Python's recursion is too deep into a UsageError about the template."""

    def __enter__(self) -> None:
        return

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, RecursionError):
            raise wrong("it is nested too deeply") from error
