"""One fact about this host, what it means for containers, and what would change it.

Where a file only promises something the doctor tries it, in a child of its own that takes all its doing with it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from tinybox.container.process.run_in_child import RunInChild
from tinybox.errors import TinyboxError

if TYPE_CHECKING:
    from collections.abc import Callable

OK, NOTE, PROBLEM = "ok", "note", "problem"


class Finding(NamedTuple):
    """A *fact*, its *verdict* (ok; note: something will not work, or work otherwise; problem: no box will run)."""

    fact: str
    verdict: str
    found: str
    cure: str = ""


def tried(act: Callable[[], object]) -> str:
    """Run *act* in a child process, see fork(2); return nothing if it went well, else what went wrong.

    The namespaces that the child makes end with it, and so does what is mounted in them.
    """
    try:
        with RunInChild(act):
            pass
    except TinyboxError as error:
        return str(error)
    return ""


def text(path: str) -> str:
    """Return what stands in the file *path*, without the end of line; nothing if it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""


def listed(words: list[str] | set[str] | frozenset[str]) -> str:
    """Return *words* sorted, as a sentence lists them; ``none`` if there are none."""
    return " ".join(sorted(words)) or "none"


def is_root() -> bool:
    """Tell whether we may try what only root may."""
    return os.geteuid() == 0
