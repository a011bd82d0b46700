"""The variables that a compose file uses: their names, and the words of ``${NAME:-word}``; nothing is filled in."""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_USE = re.compile(r"\$(?:(?P<dollar>\$)|(?P<bare>[A-Za-z_]\w*)|\{(?P<name>[A-Za-z_]\w*)(?P<kind>:?[-+?])?)", re.ASCII)


class Variable:
    """One variable: its *name*, if it is *required*, its *default*, and the *alternate* text that stands for it."""

    def __init__(self, name: str, kind: str = "", word: str = "") -> None:
        self.name, self.is_required = name, kind.endswith("?")
        self.default = word if kind.endswith("-") else ""
        self.alternate = word if kind.endswith("+") else ""


def used(texts: Iterable[str]) -> list[Variable]:
    """Return the variables in *texts*, each name once, in alphabetical order; one with a default goes first."""
    found: dict[str, Variable] = {}
    for text in texts:
        for variable in _in(text):
            former = found.get(variable.name)
            if former is None or not (former.default or former.is_required or former.alternate):
                found[variable.name] = variable
    return [found[name] for name in sorted(found)]


def _in(text: str) -> Iterator[Variable]:
    at = 0
    while use := _USE.search(text, at):
        at = use.end()
        if use["bare"]:
            yield Variable(use["bare"])
        elif use["name"]:
            word = text[at : _end(text, at)]
            yield Variable(use["name"], use["kind"] or "", word if use["kind"] else "")


def _end(text: str, at: int) -> int:
    """Return where the brace closes that was opened before *at*; braces of other variables may be inside."""
    depth = 1
    for end in range(at, len(text)):
        depth += text.startswith("${", end) - (text[end] == "}")
        if depth == 0:
            return end
    return len(text)
