"""Pictures: the same figures make the same SVG, which is well-formed, says its figures in words, and fits its frame."""

from __future__ import annotations

import itertools
import json
import re
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybox.errors import UsageError
from tinybox.pictures import drawing, scale, series, standalone, svg
from tinybox.pictures.series import Axis, Bars, Cells, Curve, Curves, Layer, Layers, Move, Moves

if TYPE_CHECKING:
    from tinybox.pictures.series import Picture

NASTY = "</svg><script>alert('1')</script>\x1b]0;title\x07 & \""
HEAD = ("A title", "One sentence.", "/proc/1/stat")
POLL = Curve("poll", [(10, 0.7), (100, 3), (10_000, 250)])
EPOLL = Curve("epoll", [(10, 0.4), (100, 0.4), (10_000, 0.5)])
FILES = Axis("idle files", logarithmic=True)
CURVES = Curves(*HEAD, FILES, Axis("microseconds", logarithmic=True), [POLL, EPOLL], ("the limit", 100))
EVERY: list[Any] = [
    CURVES,
    Bars(*HEAD, "calls", [("read and write", 4099), ("sendfile", 4)], logarithmic=True),
    Cells(*HEAD, {"s": "shared", "c": "copied"}, [("after fork", "s" * 64), ("later", "c" * 16 + "s" * 48)]),
    Moves(*HEAD, {"R": "runs", "S": "sleeps"}, [Move("R", "S", "pause(2)", True), Move("S", "R", "a signal", False)]),
    Layers(*HEAD, [Layer("seen", [("bin/sh", "")]), Layer("upper", [("bin/sh", "copied up")])]),
]
NAMES = [type(picture).__name__ for picture in EVERY]


def parsed(text: str) -> ET.Element:
    """Return the tree of SVG text; ParseError if it is not well-formed."""
    return ET.fromstring(text)  # noqa: S314  it is our own text


def elements(picture: Picture, tag: str) -> list[ET.Element]:
    """Return the elements of a drawing that have this tag."""
    return parsed(drawing.draw(picture)).findall(f".//{{http://www.w3.org/2000/svg}}{tag}")


def places(picture: Picture, name: str) -> tuple[float, float]:
    """Return the place of the text *name* in a drawing."""
    (found,) = [each for each in elements(picture, "text") if each.text == name]
    return float(found.attrib["x"]), float(found.attrib["y"])


@pytest.mark.parametrize("picture", EVERY, ids=NAMES)
def test_it_has_a_name_and_says_its_figures(picture: Any) -> None:
    """A screen reader reads the title and a description with figures; the figures are a table, too."""
    drawn = parsed(drawing.draw(picture))
    assert drawn.attrib["role"] == "img"
    marks = drawn.attrib["aria-labelledby"].split()
    read = [next(each.text for each in drawn if each.attrib.get("id") == mark) for mark in marks]
    assert read == ["A title", drawing.described(picture)]
    heads, *rows = drawing.table(picture)
    assert rows
    assert {len(row) for row in rows} == {len(heads)}


@pytest.mark.parametrize("picture", EVERY, ids=NAMES)
def test_a_picture_can_be_drawn_from_json(picture: Any) -> None:
    """`lab run --json` has the figures; read again, they make the same picture."""
    again = series.read(json.loads(json.dumps(series.as_data(picture))))
    assert drawing.draw(again) == drawing.draw(picture)


@pytest.mark.parametrize("picture", EVERY, ids=NAMES)
def test_words_of_strangers_stay_words(picture: Any) -> None:
    """Markup and control characters in each text of a picture are shown as text; the SVG stays well-formed."""

    def spoiled(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: spoiled(below) if key not in ("kind", "form") else below for key, below in value.items()}
        if isinstance(value, list):
            return [spoiled(below) for below in value]
        return value + NASTY if isinstance(value, str) else value

    drawn = drawing.draw(series.read(spoiled(series.as_data(picture))))
    parsed(drawn)
    assert "<script" not in drawn
    assert "\x1b" not in drawn


def test_the_control_of_that() -> None:
    """Without escaping, the same text is no longer well-formed: the test above can fail."""
    with pytest.raises(ET.ParseError):
        parsed(f"<svg>{NASTY}</svg>")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data.update(kind="nothing"),
        lambda data: data.update(curves="none"),
        lambda data: data["curves"][0].update(points=[[1, "2"]]),
        lambda data: data["curves"][0].update(points=[[1, 10**400]]),
        lambda data: data["curves"][0].update(points=[[1, 2]] * 20_001),
        lambda data: data.update(more=1),
        lambda data: data.pop("across"),
    ],
)
def test_a_malformed_picture_is_refused(spoil: Any) -> None:
    """Figures of a stranger that are no picture are an error in one line, and not a traceback."""
    data = series.as_data(CURVES)
    series.read(data)
    spoil(data)
    with pytest.raises(UsageError, match="not in the form"):
        series.read(data)


def test_more_is_higher() -> None:
    """The picture says what the figures say: at the end poll is above epoll, and the limit is between them."""
    assert places(CURVES, "poll")[1] < places(CURVES, "the limit")[1] < places(CURVES, "epoll")[1]


def test_names_do_not_lie_on_one_another() -> None:
    """Curves that end in one point have their names one below the other, inside the frame."""
    ten = [Curve(f"curve {number}", [(0, 0), (1, 0)]) for number in range(10)]
    crowded = CURVES._replace(curves=ten, across=Axis("x"), up=Axis("y"))
    heights = [places(crowded, curve.name)[1] for curve in ten]
    assert all(after - before >= 19 for before, after in itertools.pairwise(heights))
    assert heights[0] > 0
    assert heights[-1] < svg.HEIGHT


def test_a_curve_that_ends_early_has_its_name_there() -> None:
    """The curve of select(2) ends at 1000 files: its name is left of the names at the right edge."""
    short = CURVES._replace(curves=[POLL, Curve("select", [(10, 1), (100, 30)])])
    assert places(short, "select")[0] < places(short, "poll")[0] - 100


def test_each_page_is_a_cell() -> None:
    """The area of the cells of a kind is its share of the field: 16 of 64 are a quarter."""
    areas = dict.fromkeys(["cell0", "cell1"], 0.0)
    for path in elements(EVERY[2], "path"):
        for across, down in re.findall(r"h([\d.]+)v([\d.]+)h-", path.attrib["d"]):
            areas[path.attrib["class"].split()[1]] += float(across) * float(down)
    assert areas["cell1"] * 7 == pytest.approx(areas["cell0"], rel=0.01)  # 16 of 128 cells in both fields


@given(st.lists(st.floats(0, 1e12), min_size=1, max_size=20), st.booleans(), st.booleans())
def test_every_figure_has_its_place(numbers: list[float], logarithmic: bool, tight: bool) -> None:
    """A scale puts all numbers between its ends, larger ones further on, and writes some round numbers beside them."""
    made = scale.Scale(numbers, 100, 700, logarithmic=logarithmic, tight=tight)
    found = [made.place(number) for number in sorted(numbers)]
    assert found == sorted(found)
    assert all(99.9 <= place <= 700.1 for place in found)
    assert made.ticks
    assert len(made.ticks) <= 9
    assert all(99.9 <= made.place(tick) <= 700.1 for tick in made.ticks)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (65536, "65 536"),
        (4_194_304, "4 194 304"),
        (0.35, "0.35"),
        (12.34, "12.3"),
        (250.4, "250"),
        (1e-5, "1.0e-05"),
    ],
)
def test_numbers_are_short(number: float, text: str) -> None:
    """Three digits that matter, and groups of three before the point."""
    assert scale.written(number) == text


def test_a_picture_of_its_own_has_its_colours() -> None:
    """As a file a picture is well-formed and has each colour that its style uses, for light pages and for dark ones."""
    text = standalone.picture(drawing.draw(EVERY[1]))
    parsed(text)
    used = set(re.findall(r"var\(--(\w+)", text))
    assert used == standalone.LIGHT.keys() == standalone.DARK.keys()


def test_bars_can_share_a_look() -> None:
    """With looks given, bars of one kind look the same; without, each has its own."""

    def looks(picture: Bars) -> list[str]:
        return [each.attrib["class"] for each in elements(picture, "rect")]

    bars = [("a", 1.0), ("b", 2.0), ("c", 3.0)]
    assert looks(Bars(*HEAD, "ms", bars, looks=(0, 5, 0))) == ["bar look0", "bar look5", "bar look0"]
    assert looks(Bars(*HEAD, "ms", bars)) == ["bar look0", "bar look1", "bar look2"]
