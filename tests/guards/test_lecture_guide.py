"""docs/lecture-guide.md has every lab in one lecture of 45 minutes, as lectures.py says, and no other lab.

The page in Chinese has the same labs with the same minutes.
"""

from __future__ import annotations

import re

from tests.guards.sources import CHECKOUT
from tinybox.lab import course
from tinybox.lab.lectures import LECTURES, ORDER

GUIDE = (CHECKOUT / "docs/lecture-guide.md").read_text()
CHINESE = (CHECKOUT / "docs/lecture-guide.zh.md").read_text()
ROW = re.compile(r"^\| `([\w-]+)` \| (\d+) \|", re.MULTILINE)
TIME = re.compile(r"^\*\*(?:Time|时间).\*\* (.*)", re.MULTILINE)
AT_HOME = re.compile(r"^(?:At home|课外).$", re.MULTILINE)
LECTURE_MINUTES = 45

Rows = dict[str, int]


def parts(text: str) -> list[str]:
    """Return the text of each lecture."""
    return re.split(r"^## \d\. ", re.split(r"^## (?!\d)", text, flags=re.MULTILINE)[0], flags=re.MULTILINE)[1:]


def lectures(text: str) -> list[tuple[Rows, Rows]]:
    """Return the labs of each lecture with their minutes: those that are shown, and those to do at home."""
    found = []
    for part in parts(text):
        shown, *home = AT_HOME.split(part)
        found.append((rows(shown), rows("".join(home))))
    return found


def rows(text: str) -> Rows:
    """Return the labs of tables and their minutes."""
    return {name: int(minutes) for name, minutes in ROW.findall(text)}


def times(text: str) -> list[list[int]]:
    """Return the minutes that the line **Time** of each lecture names."""
    return [[int(number) for number in re.findall(r"\d+", line)] for line in TIME.findall(text)]


def subjects(text: str) -> set[str]:
    """Return the labs in the tables of subjects."""
    return set(re.findall(r"`([\w-]+)`", text.partition("\n## From the texts")[2]))


def test_each_lab_has_its_lecture() -> None:
    """The labs are those of lectures.py, in that order, at home or not; each is in the tables of subjects, too."""
    placed = [(list(shown), list(at_home)) for shown, at_home in lectures(GUIDE)]
    assert placed == [(one.labs, one.at_home) for one in LECTURES]
    assert set(ORDER) == set(course.ids())
    assert subjects(GUIDE) == set(ORDER)


def test_seven_lectures_of_45_minutes() -> None:
    """There are seven. The line **Time** adds up to 45 minutes, and the second number is the sum of the labs."""
    assert len(parts(GUIDE)) == len(times(GUIDE)) == len(LECTURES) == 7
    assert [sum(minutes) for minutes in times(GUIDE)] == [LECTURE_MINUTES] * 7
    assert [minutes[1] for minutes in times(GUIDE)] == [sum(shown.values()) for shown, _ in lectures(GUIDE)]


def test_the_page_in_chinese_says_the_same() -> None:
    """Labs, minutes and times are those of the page in English."""
    assert lectures(CHINESE) == lectures(GUIDE)
    assert times(CHINESE) == times(GUIDE)
    assert set(re.findall(r"`([\w-]+)`", CHINESE)) >= set(ORDER)


def test_an_unknown_lab_is_noticed() -> None:
    """The control: with one more row the lists differ, and so does the sum of the minutes."""
    more = GUIDE.replace("| `pid` | 5 |", "| `no-lab` | 60 | |\n| `pid` | 5 |")
    assert "no-lab" in lectures(more)[0][0]
    assert sum(lectures(more)[0][0].values()) != times(more)[0][1]
