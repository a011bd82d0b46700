"""The idea of each step, the harm that its absence does, and the twelve steps that matter most, to be read aloud.

The sentences are in ideas.txt. A step is found there by its name, or by the beginning of its name: ``mount/proc``
before ``mount/``. A test looks whether each step that a plan can have is there, and whether each sentence belongs to a
step.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

# One short way through a run: the steps that make a process a container.
KEY_STEPS = (
    *("cgroup", "limit-", "clone", "network", "private-mounts", "root", "mount/proc", "pivot", "hostname"),
    *("capabilities", "seccomp", "program"),
)
_FILE = os.path.join(os.path.dirname(__file__), "ideas.txt")
_WITHOUT = "WITHOUT "


def _read() -> dict[str, tuple[str, str]]:
    """Return the idea of each name, and the harm without the step: lines below the name, indented; see ideas.txt."""
    found: dict[str, tuple[str, str]] = {}
    with open(_FILE, encoding="utf-8") as file:
        for block in "".join(file).replace("\n  ", "\0").splitlines():
            name, *lines = block.split("\0")
            idea, _, without = " ".join(lines).partition(f" {_WITHOUT}")
            found[name] = (idea, without)
    return found


IDEAS = _read()


def of(name: str) -> tuple[str, str]:
    """Return the idea of the step *name*, and the harm without it; both empty for an unknown step."""
    found = _longest(name, IDEAS)
    return IDEAS[found] if found else ("", "")


def is_key(name: str) -> bool:
    """Return whether this is one of the twelve steps that matter most."""
    return _longest(name, IDEAS) in KEY_STEPS


def _longest(name: str, known: Iterable[str]) -> str:
    """Return the longest of the *known* names that is *name*, or its beginning if it ends with one of ``-/_``."""
    fits = [one for one in known if name == one or (one[-1] in "-/_" and name.startswith(one))]
    return max(fits, key=len, default="")
