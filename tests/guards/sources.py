"""The files that guards read. A guard is a function from one source file to a list of complaints about it."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CHECKOUT = Path(__file__).parents[2]


class Source(NamedTuple):
    """One file: its *path* from the checkout on, and its *text*."""

    path: str
    text: str

    @property
    def tree(self) -> ast.Module:
        """The file's syntax tree."""
        return ast.parse(self.text, self.path)

    @property
    def package(self) -> list[str]:
        """The packages of the file: ["tinybox", "linux"] for tinybox/linux/mount.py."""
        return list(Path(self.path).parts[:-1])


def sources(*folders: str) -> Iterator[Source]:
    """Read each Python file below *folders* of the checkout."""
    for folder in folders:
        for path in sorted((CHECKOUT / folder).rglob("*.py")):
            yield Source(str(path.relative_to(CHECKOUT)), path.read_text())


def complaints(guard: Callable[[Source], Iterator[str]], *folders: str) -> str:
    """Run *guard* on each file below *folders*; return the complaints; an empty string means that there are none."""
    return "\n".join(f"{source.path}:{line}" for source in sources(*folders) for line in guard(source))
