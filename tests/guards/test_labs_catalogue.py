"""The catalogue of the labs is complete: each lab of the course has its file, and each file fits on a few pages."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tests.guards.sources import Source, complaints, sources
from tinybox.lab import course, lectures

if TYPE_CHECKING:
    from collections.abc import Iterator

CATALOGUE = "tinybox/lab/catalogue"
LINES = 150  # lines that can be read in a lecture


def too_long(source: Source) -> Iterator[str]:
    """Complain about a lab that is too long to be read in class."""
    lines = source.text.count("\n")
    if lines >= LINES:
        yield f"1: {lines} lines; a lab has less than {LINES}"


def test_each_lab_of_the_course_has_its_file() -> None:
    """The order of the lectures names every lab once, and nothing else."""
    assert len(lectures.ORDER) == len(set(lectures.ORDER))
    assert course.ids() == lectures.ORDER


def test_no_lab_is_too_long() -> None:
    """Every lab has less than 150 lines."""
    assert complaints(too_long, CATALOGUE) == ""


def test_a_lab_that_is_too_long_is_found() -> None:
    """The guard works at 150 lines and not at 149; and labs are found."""
    assert list(too_long(Source("x.py", "\n" * LINES)))
    assert not list(too_long(Source("x.py", "\n" * (LINES - 1))))
    assert f"{CATALOGUE}/pid.py" in {source.path for source in sources(CATALOGUE)}


def test_a_name_belongs_to_its_file() -> None:
    """A lab's name with a hyphen is a file with an underscore."""
    assert course.load("pid-max").question
    assert Path(CATALOGUE, "pid_max.py").name in {Path(source.path).name for source in sources(CATALOGUE)}
