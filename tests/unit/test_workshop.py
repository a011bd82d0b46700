"""The workshop's texts: students' files are made of the solutions, and a directory notes what has passed."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tinybox.errors import ConflictError, DamagedError, ImageError, UsageError
from tinybox.workshop import levels, student_folder
from tinybox.workshop.student_folder import StudentFolder

if TYPE_CHECKING:
    from pathlib import Path

NUMBERS = range(1, len(levels.ORDER) + 1)
LONGEST = 80  # lines of a student's program, without blank lines, comments and lines of docstrings


class OneLayer(NamedTuple):
    """As much of an image as a student's directory needs: the paths of its layers."""

    layers: list[str]
    asked: str = "busybox"


@pytest.fixture
def image(tmp_path: Path) -> OneLayer:
    """Make an image of one file."""
    (tmp_path / "layer/bin").mkdir(parents=True)
    (tmp_path / "layer/file").write_text("content")
    return OneLayer([str(tmp_path / "layer")])


@pytest.fixture
def course(tmp_path: Path, image: OneLayer) -> Path:
    """Lay out a student's directory."""
    student_folder.lay_out(str(tmp_path / "course"), image)  # type: ignore[arg-type]
    return tmp_path / "course"


@pytest.mark.parametrize("number", NUMBERS)
def test_a_skeleton_is_the_solution_without_its_parts(number: int) -> None:
    """Both are Python; the skeleton has each part of the solution as one line that says that it is missing."""
    solution, skeleton = levels.solution(number), levels.skeleton(number)
    ast.parse(solution)
    ast.parse(skeleton)
    parts = re.findall(r"# Part (\d+): (.*)", solution)
    assert dict(parts) == levels.tasks(number)
    assert re.findall(r"# YOURS (\d+): (.*)", skeleton) == parts
    assert re.findall(r'raise NotImplementedError\("part (\d+)"\)', skeleton) == [which for which, _ in parts]
    assert "# END" not in solution + skeleton
    assert "YOURS" not in solution
    code = [line for line in solution.splitlines() if line.strip() and line.strip()[0] not in '#"']
    assert 10 <= len(code) <= LONGEST


@pytest.mark.parametrize("number", NUMBERS)
def test_a_level_has_a_text_hints_and_pages_of_the_manual(number: int) -> None:
    """Each level has a title of one line, some paragraphs, at least two hints, and pages that end with a section."""
    level, (title, text) = levels.load(number), levels.text(number)
    assert len(title) < 60
    assert len(text.split("\n\n")) >= 2
    assert len(level.hints) >= 2
    assert all(re.fullmatch(r"[\w-]+\([1-8]\)", page) for page in level.pages.split(", "))


@pytest.mark.parametrize("number", [0, -1, len(levels.ORDER) + 1])
def test_a_level_that_does_not_exist_is_an_error(number: int) -> None:
    """Levels are counted from 1."""
    with pytest.raises(UsageError, match="there is no such level"):
        levels.load(number)


def test_a_new_directory_has_all_levels(course: Path) -> None:
    """A new directory has the files of the image, one program for each level, and no level that has passed."""
    assert (course / "rootfs/file").read_text() == "content"
    assert [(course / levels.file_name(number)).read_text() for number in NUMBERS] == list(
        map(levels.skeleton, NUMBERS)
    )
    assert all((course / levels.file_name(number)).stat().st_mode & 0o777 == 0o755 for number in NUMBERS)
    folder = StudentFolder(str(course))
    assert {folder.state(number) for number in NUMBERS} == {student_folder.OPEN}
    assert folder.next() == 1


def test_laying_out_again_keeps_the_students_programs(course: Path, image: OneLayer) -> None:
    """In a workshop, also a half-made one, only missing files are made; other directories are refused."""
    (course / levels.file_name(1)).write_text("mine")
    (course / levels.file_name(2)).unlink()
    (course / "rootfs/file").unlink()
    (course / "rootfs").rename(course / "rootfs.new")
    made = student_folder.lay_out(str(course), image)  # type: ignore[arg-type]
    assert made == [levels.file_name(2), "rootfs"]
    assert (course / levels.file_name(1)).read_text() == "mine"
    assert (course / "rootfs/file").exists()
    assert not (course / "rootfs.new").exists()
    with pytest.raises(ConflictError, match="the directory has other files"):
        student_folder.lay_out(str(course / "rootfs"), image)  # type: ignore[arg-type]


def test_a_program_that_has_passed_and_was_changed_is_known(course: Path) -> None:
    """The directory notes which program has passed; another program of that level, or none, counts as changed."""
    file = course / levels.file_name(1)
    StudentFolder(str(course)).note_passed(1, file.read_text())
    folder = StudentFolder(str(course))
    assert (folder.state(1), folder.next()) == (student_folder.PASSED, 2)
    file.write_text("another")
    assert (folder.state(1), folder.next()) == (student_folder.CHANGED, 2)
    file.unlink()
    assert folder.state(1) == student_folder.CHANGED
    with pytest.raises(UsageError, match="the file is missing"):
        folder.program(1)


def test_a_lost_image_is_named(course: Path) -> None:
    """A directory whose image is there gives its path; without the image, the error says how to get it again."""
    assert StudentFolder(str(course)).rootfs == str(course / "rootfs")
    (course / "rootfs/bin").rmdir()
    with pytest.raises(UsageError, match="the files of the image are missing"):
        _ = StudentFolder(str(course)).rootfs


def test_hints_unfold_one_by_one(course: Path) -> None:
    """Each time, one more hint is shown, up to the last; the directory remembers it."""
    assert [StudentFolder(str(course)).unfold(1, 2) for _ in range(3)] == [1, 2, 2]
    assert StudentFolder(str(course)).unfold(2, 2) == 1


@pytest.mark.parametrize("text", ["{", "[]", '{"passed": {}}', '{"passed": {"1": 1}, "hints": {}}', "[" * 100000])
def test_a_damaged_record_is_an_error_of_one_line(course: Path, text: str) -> None:
    """A progress.json that was damaged is named, with the cure; the control is the one that was laid out."""
    StudentFolder(str(course))
    (course / "progress.json").write_text(text)
    with pytest.raises(DamagedError, match="the programs stay"):
        StudentFolder(str(course))


def test_a_directory_without_a_record_is_no_workshop(tmp_path: Path) -> None:
    """The error says how to make one."""
    with pytest.raises(UsageError, match="tinybox workshop new"):
        StudentFolder(str(tmp_path))


def test_an_image_of_two_layers_is_refused(tmp_path: Path) -> None:
    """An image named busybox that is not the recipe's is refused before anything is copied."""
    with pytest.raises(ImageError, match="2 layers"):
        student_folder.lay_out(str(tmp_path / "course"), OneLayer(["/a", "/b"]))  # type: ignore[arg-type]
    assert not (tmp_path / "course/rootfs.new").exists()
