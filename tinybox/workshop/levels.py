"""The levels in their order: each has a text, hints, a check, and a solution, from which the student's file is made.

A solution has parts, from a comment `YOURS N: what to do` to a comment `END`. In the student's file each part is one
`raise NotImplementedError`, so the two cannot drift apart.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
from typing import TYPE_CHECKING, NamedTuple

from tinybox.errors import UsageError
from tinybox.workshop import catalogue, solutions, spare_host
from tinybox.workshop.trial import MissingError, Trial, UnwrittenError, unwritten_part

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

ORDER = tuple(
    "fork-exec chroot mounts pivot-root overlay host-name pid-1 network cgroup capabilities user-namespace".split()
)
PART = re.compile(r"^( *)# YOURS (\d+): (.*)\n(?:.*\n)*?\1# END\n", re.MULTILINE)


class Level(NamedTuple):
    """One level: *usage* are the arguments of the student's program, *pages* those of the manual to read."""

    usage: str
    pages: str
    hints: tuple[str, ...]
    check: Callable[[Trial], None]


class Verdict(NamedTuple):
    """The result of a check: *seen* are the facts that hold, *missing* is the first that does not, or empty."""

    seen: list[str]
    missing: str

    @property
    def passed(self) -> bool:
        """Whether nothing is missing."""
        return not self.missing


def named(number: int) -> str:
    """Return the name of level *number*, from 1 on; UsageError: there is no such level."""
    if not 1 <= number <= len(ORDER):
        raise UsageError(f"level {number}", "there is no such level", f"levels are 1 to {len(ORDER)}")
    return ORDER[number - 1]


def file_name(number: int) -> str:
    """Return the name of the student's file, such as ``02-chroot.py``."""
    return f"{number:02}-{named(number)}.py"


def load(number: int) -> Level:
    """Import level *number*; UsageError: there is no such level."""
    level: Level = _module(number).LEVEL
    return level


def text(number: int) -> tuple[str, str]:
    """Return the title of a level, and the text below it: what the kernel does, and what there is to do."""
    title, _, rest = (_module(number).__doc__ or "").strip().partition("\n")
    return title.rstrip("."), rest.strip()


def _module(number: int) -> ModuleType:
    return importlib.import_module(f"{catalogue.__name__}.{named(number).replace('-', '_')}")


def solution(number: int) -> str:
    """Return the complete program of a level, without the comments that mark the ends of its parts."""
    return re.sub(r"^ *# END\n", "", source(number), flags=re.MULTILINE).replace("# YOURS ", "# Part ")


def skeleton(number: int) -> str:
    """Return the student's file: the program without its parts, to be run by tinybox's Python."""
    return PART.sub(r'\1# YOURS \2: \3\n\1raise NotImplementedError("part \2")\n', source(number))


def tasks(number: int) -> dict[str, str]:
    """Return what is to be done in each part of a level, by the number of the part."""
    return {which: task for _, which, task in PART.findall(source(number))}


def source(number: int) -> str:
    """Return the complete program of a level, with the comments that begin and end its parts."""
    path = os.path.join(*solutions.__path__, f"{named(number).replace('-', '_')}.py")
    with open(path, encoding="utf-8") as file:
        return f"#!{sys.executable}\n{file.read()}"


def check(number: int, program: str, rootfs: str) -> Verdict:
    """Run the text *program* of a student on a spare host and judge it by what the kernel shows; see spare_host.visit.

    *rootfs* is the directory with the files of the image.
    """
    level = load(number)

    def judge() -> tuple[list[str], str]:
        trial = Trial()
        try:
            level.check(trial)
        except (MissingError, FileNotFoundError, ProcessLookupError, ValueError) as error:
            if part := str(error) if isinstance(error, UnwrittenError) else unwritten_part():
                return trial.seen, f"part {part} is not written yet: {tasks(number)[part]}"
            if isinstance(error, MissingError):
                return trial.seen, str(error)
            if isinstance(error, OSError) and str(error.filename).startswith("/proc/"):
                return trial.seen, f"a process of the box has ended while the check read {error.filename}: see proc(5)"
            if isinstance(error, OSError) and str(error.filename).startswith(f"{spare_host.PLACE}/"):
                return trial.seen, f"the check misses {error.filename}: does your program remove it?"
            raise  # the check has a fault
        return trial.seen, ""

    return Verdict(*spare_host.visit(judge, program, rootfs))
