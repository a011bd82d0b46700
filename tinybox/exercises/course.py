"""The exercises in the order of the lectures: find one by its name, draw the numbers of a seed, fill in its texts."""

from __future__ import annotations

import importlib
import os
import random
import shlex
from typing import TYPE_CHECKING, NamedTuple

from tinybox.errors import UsageError, printable
from tinybox.exercises import catalogue
from tinybox.lab import own_folders

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any

    from tinybox.exercises.scene import Scene

# The lectures of docs/lecture-guide.md, each with its exercises.
LECTURES: dict[int, tuple[str, ...]] = {
    1: ("two-numbers", "open-deleted", "full-pipe"),
    2: ("adopt", "zombies", "stuck-stop", "job-control"),
    3: ("lock-holder", "deadlock", "shared-memory"),
    4: ("copy-up", "deleted-file", "hidden-memory"),
    5: ("odd-namespace", "hidden-file", "end-143"),
    6: ("oom-kill", "memory-limit", "cpu-quota", "fork-bomb"),
}
WORDS = (
    "adder badger beaver crane dove eagle falcon gecko heron ibex jackal koala lemur marten newt otter panda quail"
    " raven"
    " seal tapir urchin viper weasel yak zebra"
).split()
SEEDS = 1_000_000  # a seed is a number below this


class Exercise(NamedTuple):
    """One exercise: *answer* is the name of what a student has to find (BOX), empty if something is to be changed.

    *needs* is one line about what the exercise needs beyond boxes, empty if it needs nothing.
    """

    task: str
    hints: tuple[str, ...]
    solution: str
    draw: Callable[[random.Random], dict[str, Any]]
    prepare: Callable[[Scene], None]
    check: Callable[[Scene, str], None]
    answer: str = ""
    needs: str = ""


OWN = 0  # in place of the number of a lecture: an exercise of one's own, in a directory that TINYBOX_LABS names


def names() -> list[str]:
    """Return the names of all exercises, in the order of the lectures, and then those of one's own."""
    return list(_files())


def lecture(name: str) -> int:
    """Return the number of the lecture that an exercise belongs to, OWN for one of one's own."""
    return next((number for number, those in LECTURES.items() if name in those), OWN)


def options(name: str) -> str:
    """Return the words, with a blank behind them, by which every command finds an exercise of one's own; or ""."""
    if lecture(name) != OWN:
        return ""
    return f"--lab-dir {shlex.quote(os.path.dirname(os.path.dirname(_files()[known(name)])))} "


def subject(name: str) -> str:
    """Return the first line of an exercise's docstring, without importing the exercise."""
    with open(_files()[known(name)], encoding="utf-8", errors="replace") as file:
        return printable(file.readline().strip().strip('"').rstrip("."))


def load(name: str) -> Exercise:
    """Import one exercise; UsageError: there is none of this name, or a file of one's own is none."""
    exercise = getattr(_module(name), "EXERCISE", None)
    if not isinstance(exercise, Exercise):
        raise UsageError(_files()[name], "it has no EXERCISE, a tinybox.exercises.course.Exercise")
    return exercise


def idea(name: str) -> str:
    """Return the docstring of an exercise below its first line, as one paragraph."""
    text = _module(name).__doc__ or ""
    return " ".join(text.partition("\n")[2].split())


def _module(name: str) -> ModuleType:
    if lecture(known(name)) == OWN:
        return own_folders.load(_files()[name])
    return importlib.import_module(f"{catalogue.__name__}.{name.replace('-', '_')}")


def _files() -> dict[str, str]:
    """Return the name and the path of every exercise."""
    (folder,) = catalogue.__path__
    taken = {
        name: os.path.join(folder, f"{name.replace('-', '_')}.py") for those in LECTURES.values() for name in those
    }
    return {**taken, **own_folders.files("exercises", taken)}


def known(name: str) -> str:
    """Return *name*; UsageError, with the nearest name: there is no such exercise."""
    if name not in names():
        error = UsageError(f"exercise {name}", "there is no such exercise", "tinybox exercise list")
        raise error.meant(name, names)
    return name


def numbers(name: str, seed: int) -> dict[str, Any]:
    """Return the numbers that an exercise has with this *seed*; the same for the same seed, on every machine.

    ``boxes`` are the names of all its boxes, also of those that the student makes; ``names`` and ``list`` are texts.
    """
    drawn = load(name).draw(random.Random(f"{name} {seed}"))  # noqa: S311  they are no secrets
    return {**drawn, "names": ", ".join(drawn["boxes"]), "list": " ".join(drawn["boxes"])}


def boxes(draws: random.Random, exercise: str, count: int) -> list[str]:
    """Draw the names of *count* boxes, such as ``full-pipe-otter``."""
    return [f"{exercise}-{word}" for word in draws.sample(WORDS, count)]
