"""The workshop without root: a student who has no root is checked on the same objects of the kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.student import Student, student
from tinybox.workshop import levels

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["student"]

pytestmark = [pytest.mark.root, pytest.mark.rootless]
CGROUP, LAST = levels.ORDER.index("cgroup") + 1, len(levels.ORDER)


@pytest.fixture(scope="module")
def course(student: Student) -> Path:
    """Lay out a workshop that belongs to the student."""
    path = student.home / "course"
    assert student("workshop", "new", str(path)).returncode == 0
    return path


def check(student: Student, course: Path, number: int, program: str) -> tuple[int, str]:
    """Let the student check *program*; return the status and the last line."""
    (course / levels.file_name(number)).write_text(program)
    done = student("workshop", "check", str(number), "--dir", str(course))
    return done.returncode, (done.stdout + done.stderr).splitlines()[-1]


def test_levels_are_checked_without_root(student: Student, course: Path) -> None:
    """For an ordinary user the solutions pass of the levels that ask the kernel for most; nothing runs afterwards."""
    for number in (1, 7, 8, CGROUP + 1):
        status, line = check(student, course, number, levels.solution(number))
        assert (status, line.startswith(f"{levels.file_name(number)}: passed.")) == (0, True), line
    assert not student.processes()


def test_the_last_level_is_checked_without_root(student: Student, course: Path) -> None:
    """The solution of the level that needs no root passes; its skeleton and a wrong program do not."""
    right, name = levels.solution(LAST), levels.file_name(LAST)
    wrong = right.replace('Path(f"/proc/{child}/setgroups").write_text("deny")', "pass")
    assert right != wrong
    missing = f"{name}: not yet: part 1 is not written yet: {levels.tasks(LAST)['1']}"
    assert check(student, course, LAST, levels.skeleton(LAST)) == (1, missing)
    status, line = check(student, course, LAST, wrong)
    assert (status, "Operation not permitted" in line) == (1, True), line
    assert check(student, course, LAST, right) == (0, f"{name}: passed.")


def test_limits_need_root(student: Student, course: Path) -> None:
    """The level about control groups says in one line that it needs root, and how the student goes on."""
    status, line = check(student, course, CGROUP, levels.solution(CGROUP))
    assert status == 1
    assert line.startswith("tinybox: level cgroup: this user has no control group with the controllers memory and pids")
