"""`tinybox watch`, the parts that need no box: marks of changes, the pace of looks, bars, and the lack of Textual."""

from __future__ import annotations

import json
import sys
from collections import deque
from typing import TYPE_CHECKING

import pytest

from tinybox.cli.commands import watch as command
from tinybox.errors import HostError
from tinybox.seeing.watch import pages, process_facts
from tinybox.seeing.watch.look import INTERVAL, SHARE, Pace, spark
from tinybox.seeing.watch.rows import CHANGED, GONE, MOST_ROWS, NEW, SAME, Panel, Row, View, compared, limited
from tinybox.seeing.watch.upper_files import DEEPEST, walk

if TYPE_CHECKING:
    from pathlib import Path


def view(*rows: Row) -> View:
    """Return a view with one panel of these rows."""
    return View("box", "0" * 64, "running", 1, "", [Panel("things", "host", "box", list(rows))])


def marks(shown: View) -> dict[str, str]:
    """Return the marks of the rows by their keys."""
    return {row.key: row.mark for row in shown.panel("things")}


def test_what_differs_is_marked_and_nothing_else() -> None:
    """New, changed and gone rows have their marks; the first look marks nothing, and a row is gone only once."""
    first = compared(None, view(Row("a", "1", "x"), Row("b", "2", "y"), Row("c", "3", "z")))
    assert set(marks(first).values()) == {SAME}
    second = compared(first, view(Row("a", "1", "x"), Row("b", "2", "other"), Row("d", "4", "w")))
    assert marks(second) == {"a": SAME, "b": CHANGED, "d": NEW, "c": GONE}
    third = compared(second, view(Row("a", "1", "x"), Row("b", "2", "other"), Row("d", "4", "w")))
    assert marks(third) == {"a": SAME, "b": SAME, "d": SAME}


def test_a_long_panel_says_how_much_more_there_is() -> None:
    """A panel has at most MOST_ROWS rows and one about the rest; a panel of just as many is whole."""
    rows = [Row(str(number), "", "") for number in range(MOST_ROWS + 7)]
    assert limited(rows, "files")[-1].host == "and 7 more files"
    assert limited(rows[:MOST_ROWS], "files") == rows[:MOST_ROWS]


@pytest.mark.parametrize(("used", "seconds"), [(0.001, INTERVAL), (0.019, INTERVAL), (0.1, 5.0), (0.5, 25.0)])
def test_a_costly_look_makes_the_next_one_later(used: float, seconds: float) -> None:
    """A look each second while one costs less than SHARE of that; otherwise so seldom that the share holds."""
    times = iter([0.0, used])
    pace = Pace(lambda: next(times))
    assert pace.next() == pytest.approx(seconds)
    assert pace.share == pytest.approx(used / INTERVAL)  # the first look comes at once
    assert used / seconds <= SHARE + 1e-9


def test_bars_reach_from_zero_to_the_largest_number() -> None:
    """Zero is the lowest bar and the largest number the highest; a counter that is always zero stays at the bottom."""
    assert spark(deque([0.0, 50.0, 100.0]), 10) == "▁▅█"
    assert spark(deque([0.0, 0.0]), 10) == "▁▁"
    assert spark(deque([1.0, 2.0, 4.0]), 2) == "▅█"


def test_a_walk_leaves_access_times_and_ends_in_a_deep_tree(tmp_path: Path) -> None:
    """The walk ends after DEEPEST levels, and follows no link."""
    place = tmp_path
    for number in range(DEEPEST + 5):
        place /= f"d{number}"
    place.mkdir(parents=True)
    (tmp_path / "link").symlink_to("/etc")
    found = [path for path, _ in walk(str(tmp_path))]
    assert len(found) == DEEPEST + 1
    assert "/link" in found
    assert not [path for path in found if path.startswith("/link/")]


def test_a_pipe_without_a_known_holder_is_a_pipe() -> None:
    """The kind of an open file comes from the kernel's name of it."""
    names = {"pipe:[1]": "pipe", "socket:[2]": "socket", "/dev/null": "device", "/etc/x": "file",
             "anon_inode:[eventpoll]": "of the kernel"}  # fmt: skip
    assert {name: process_facts._kind(name) for name in names} == names


def test_the_page_shows_markup_as_text() -> None:
    """A name that looks like the end of the script is not one in the page."""
    nasty = "</script><script>alert(1)</script>"
    page = pages.live([nasty])
    assert nasty not in page
    inside = page.partition('id="trace">')[2].partition("</script>")[0]
    assert json.loads(inside)["boxes"] == [nasty]
    assert "http://" not in page.replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in page


def test_without_textual_one_line_names_the_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the package and the extra; the control: with the package the application is there."""
    assert command._application().__name__ == "Watch"
    monkeypatch.delitem(sys.modules, "tinybox.seeing.watch.terminal")
    for name in [name for name in sys.modules if name.partition(".")[0] == "textual"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "textual", None)
    with pytest.raises(HostError, match=r"textual is not installed.*tinybox\[watch\]"):
        command._application()
