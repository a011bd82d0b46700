"""docs/lecture-guide.md has every lab in one lecture of at most 45 minutes, and no lab that does not exist."""

from __future__ import annotations

import re

from tests.guards.sources import CHECKOUT
from tinybox.lab import course
from tinybox.lab.lectures import LECTURES

GUIDE = (CHECKOUT / "docs/lecture-guide.md").read_text()
ROW = re.compile(r"^\| `([\w-]+)` \| (\d+) \|", re.MULTILINE)
LECTURE_MINUTES = 45


def lectures(text: str) -> list[dict[str, int]]:
    """Return the labs of each lecture with their minutes."""
    return [
        {name: int(minutes) for name, minutes in ROW.findall(part)}
        for part in re.split(r"^## \d\. ", text, flags=re.MULTILINE)[1:]
    ]


def subjects(text: str) -> set[str]:
    """Return the labs in the table of subjects."""
    return set(re.findall(r"`([\w-]+)`", text.partition("## From subject to lab")[2]))


def test_each_lab_has_its_lecture() -> None:
    """Every lab is in exactly one lecture, and in the table of subjects."""
    placed = [name for lecture in lectures(GUIDE) for name in lecture]
    assert sorted(placed) == sorted(course.ids())
    assert subjects(GUIDE) == set(placed)


def test_a_lab_is_in_the_same_lecture_in_the_guide_and_in_the_table() -> None:
    """The guide has the labs of each lecture that tinybox/lab/lectures.py has, those for home included."""
    placed = [set(lecture) for lecture in lectures(GUIDE)]
    assert placed == [{*lecture.labs, *lecture.at_home} for lecture in LECTURES]


def test_lectures_of_45_minutes() -> None:
    """The labs of a lecture that are not for home take no longer than its time."""
    times = [sum(one[name] for name in known.labs) for one, known in zip(lectures(GUIDE), LECTURES, strict=True)]
    assert max(times) <= LECTURE_MINUTES


def test_an_unknown_lab_is_noticed() -> None:
    """The control: with one more row the lists differ; with one more hour the lecture is too long."""
    more = GUIDE.replace("| `pid` | 5 |", "| `no-lab` | 60 | |\n| `pid` | 5 |")
    assert "no-lab" in lectures(more)[0]
    assert sum(lectures(more)[0].values()) > LECTURE_MINUTES
