"""The records of exercises, ROOT/exercises/NAME.json: each attempt with its seed, hints, checks and times.

Times are in nanoseconds since 1970. An attempt is open from its start to its end. It is written before the first box is
made, and ended after the last one is removed. So after a kill at any moment, the open attempt says that something may
be left.
"""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING

from tinybox.errors import DamagedError
from tinybox.exercises import course
from tinybox.linux.filesystem import files
from tinybox.linux.quick_json import misfit

if TYPE_CHECKING:
    from typing import Any

    from tinybox.container.records.paths import Paths

    Attempt = dict[str, Any]

_CHECK = {"time!": int, "answer!": str, "passed!": bool, "missing!": str, "evidence!": [{"*": str}]}
_ATTEMPT = {"seed!": range(course.SEEDS), "begun!": int, "ended": int, "is_ready!": bool, "hints!": range(100),
            "saw_solution!": bool, "facts!": {}, "checks!": [_CHECK]}  # fmt: skip
SHAPE = {"attempts!": [_ATTEMPT]}
LONGEST = 1 << 24  # bytes of a record that are read


class Record:
    """The attempts of the exercise *name*; DamagedError: its file is no record of tinybox's."""

    def __init__(self, paths: Paths, name: str) -> None:
        self.name = course.known(name)
        self._place = os.path.join(paths.root, "exercises")
        self.path = f"{self._place}/{name}.json"
        self.attempts: list[Attempt] = self._read()

    @property
    def shared(self) -> str:
        """Return the directory that the boxes of an attempt may share; it exists while an attempt is open."""
        return f"{self._place}/{self.name}"

    @property
    def open(self) -> Attempt | None:
        """Return the attempt that has not been ended, or None."""
        return self.attempts[-1] if self.attempts and not self.attempts[-1].get("ended") else None

    def begin(self, seed: int) -> Attempt:
        """Note on disk that an attempt begins, before anything is made for it; return it."""
        self.attempts.append({"seed": seed, "begun": time.time_ns(), "is_ready": False, "hints": 0,
                              "saw_solution": False, "facts": {}, "checks": []})  # fmt: skip
        self.save()
        return self.attempts[-1]

    def save(self) -> None:
        """Replace the file by rename(2)."""
        files.replace(self.path, json.dumps({"attempts": self.attempts}, indent=1).encode() + b"\n")

    def forget(self) -> None:
        """Remove the file, with all results."""
        files.discard(self.path)

    def _read(self) -> list[Attempt]:
        try:
            place = os.open(self.path, os.O_PATH | os.O_CLOEXEC)
        except FileNotFoundError:
            return []
        try:
            found = json.loads(files.read_regular(place, self.path, LONGEST))
        except (ValueError, RecursionError) as error:
            raise self._damaged("it is not JSON") from error
        finally:
            os.close(place)
        if wrong := misfit(found, SHAPE):
            raise self._damaged(wrong)
        attempts: list[Attempt] = found["attempts"]
        return attempts

    def _damaged(self, why: str) -> DamagedError:
        return DamagedError(self.path, why, "remove it")
