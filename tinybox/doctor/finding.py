"""One fact about this host with its verdict and its cure, and the functions that read or try a fact.

A file of the kernel may promise a feature that does not work. So the doctor tries the feature in a child process, with
which all its changes end.
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
    """A *fact*, its *verdict* (ok; note: an option will fail or work differently; problem: no box will run)."""

    fact: str
    verdict: str
    found: str
    cure: str = ""


def tried(act: Callable[[], object]) -> str:
    """Run *act* in a child process, see fork(2); return "" if it succeeded, else the text of the error.

    The namespaces that the child makes end with it, and the mounts in them, too.
    """
    try:
        with RunInChild(act):
            pass
    except TinyboxError as error:
        return str(error)
    return ""


def text(path: str) -> str:
    """Return the text of the file *path*, without blanks around it; "" if it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""


def listed(names: list[str] | set[str] | frozenset[str]) -> str:
    """Return *names* sorted and joined by blanks; ``none`` if there are none."""
    return " ".join(sorted(names)) or "none"


def is_root() -> bool:
    """Return whether this process is root, and can try everything."""
    return os.geteuid() == 0
