"""Exercises without root: those without limits work, and the others say in one line what they need."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.boxes import one_line
from tests.support.student import Student, student
from tinybox.exercises import course

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Command

__all__ = ["student"]

pytestmark = [pytest.mark.root, pytest.mark.rootless]


def test_an_exercise_without_root(tinybox: Command, student: Student, tmp_path: Path) -> None:
    """Later commands see the boxes of a started exercise: they are in one home. A limit is refused, nothing is left."""
    archive = tmp_path / "alpine.tar"
    assert tinybox("save", "-o", str(archive), "alpine").returncode == 0
    with archive.open() as file:
        student.says("load", stdin=file)
    student.says("exercise", "start", "--seed", "3", "lock-holder")
    numbers = course.numbers("lock-holder", 3)
    wrong = next(name for name in numbers["boxes"] if name != numbers["holder"])
    assert student("exercise", "check", "lock-holder", wrong).returncode == 1
    assert student.says("exercise", "check", "lock-holder", numbers["holder"]).endswith("lock-holder: passed")
    student.says("exercise", "end", "--all", "--forget")
    one_line(student("exercise", "start", "oom-kill"), 1, "this user may make no control group")
    assert student.says("ps", "-aq") == ""
    assert student.says("exercise", "list").count(" -  ") == len(course.names())
