"""`tinybox workshop`: a student goes from a new directory to the next level, and is told what is missing."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tinybox.workshop import levels

if TYPE_CHECKING:
    from tests.conftest import Command

pytestmark = pytest.mark.root


def test_a_student_goes_on_where_the_work_stopped(tinybox: Command, tmp_path: Path) -> None:
    """A new directory is laid out; a check says what is missing and ends with 1, or passes and leads on to the next."""
    course = tmp_path / "course"
    assert tinybox("workshop", "new", str(course)).returncode == 0
    at = ("--dir", str(course))
    first = tinybox("workshop", "check", *at)
    assert first.returncode == 1
    assert f"01-fork-exec.py: not yet: part 1 is not written yet: {levels.tasks(1)['1']}" in first.stdout
    (course / levels.file_name(1)).write_text(levels.solution(1))
    passed = tinybox("workshop", "check", *at)
    assert passed.returncode == 0, passed.stderr
    assert passed.stdout.splitlines()[-1] == "01-fork-exec.py: passed. Next: tinybox workshop show 2"
    assert "02-chroot.py: not yet" in tinybox("workshop", "check", *at).stdout
    marks = [line.split()[2] for line in tinybox("workshop", "list", *at).stdout.splitlines()]
    assert marks == ["passed", *["-"] * (len(levels.ORDER) - 1)]


def test_the_files_belong_to_the_user_of_sudo(tinybox: Command, tmp_path: Path) -> None:
    """With sudo(8), the student can edit the programs without sudo; without it, they are root's."""
    names = ("01-fork-exec.py", "progress.json", ".")
    for variables, owner in (({"SUDO_UID": "65534", "SUDO_GID": "65534"}, 65534), ({}, os.geteuid())):
        course = tmp_path / str(owner)
        tinybox.environment = {**tinybox.environment, "SUDO_UID": "", "SUDO_GID": "", **variables}
        assert tinybox("workshop", "new", str(course)).returncode == 0
        assert tinybox("workshop", "show", "--hint", "1", "--dir", str(course)).returncode == 0
        assert {(course / name).stat().st_uid for name in names} == {owner}


def test_text_hints_and_solution_are_printed(tinybox: Command, tmp_path: Path) -> None:
    """`show` prints text and pages without a directory; a hint needs the directory, whose record counts the hints."""
    shown = tinybox("workshop", "show", "2").stdout
    assert levels.text(2)[1].split() == shown.split()[shown.split().index("Each") : shown.split().index("File:")]
    assert max(map(len, shown.splitlines())) <= 100
    assert "chroot(2)" in shown
    none = tinybox("workshop", "show", "--hint", "2", "--dir", str(tmp_path))
    assert (none.returncode, "this directory is no workshop" in none.stderr) == (1, True)
    assert tinybox("workshop", "new", str(tmp_path / "course")).returncode == 0
    hints = [tinybox("workshop", "show", "--hint", "--dir", str(tmp_path / "course"), "2").stdout for _ in range(2)]
    assert [text.count("\n") for text in hints] == [1, 2]
    printed = tinybox("workshop", "solution", "2").stdout
    assert printed.startswith("#!/")
    assert printed.partition("\n")[2] == levels.solution(2).partition("\n")[2]  # below the path of this Python


@pytest.mark.parametrize("words", [("show", "99"), ("check",), ("check", "--dir", "/etc"), ("new", "/etc")])
def test_an_error_is_one_line(tinybox: Command, words: tuple[str, ...]) -> None:
    """A level or a directory that does not exist is named in one line, and nothing is written."""
    done = tinybox("workshop", *words)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert not Path("/etc/rootfs").exists()
