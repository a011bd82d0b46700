"""Bars: one for each name, with its value written at its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinybox.pictures import svg
from tinybox.pictures.scale import Scale, written

if TYPE_CHECKING:
    from tinybox.pictures.series import Bars

TOP, THICK, GAP = 40, 30, 16  # units
BOLD = 1.12  # how much wider the letters of the names are


def draw(given: Bars) -> str:
    """Return the picture of some bars."""
    left = 20 + min(330, max([0.0, *(BOLD * svg.length(name) for name, _ in given.bars)]))
    right = svg.WIDTH - 20 - max([40.0, *(svg.length(written(value)) for _, value in given.bars)])
    scale = Scale([value for _, value in given.bars], left, right, logarithmic=given.logarithmic)
    unit = f"{given.unit}{', each step ten times more' if scale.logarithmic else ''}"
    parts = [svg.text(left, 22, unit, kind="axis")]
    for number, (name, value) in enumerate(given.bars):
        y, end = TOP + number * (THICK + GAP), max(scale.place(value), left + 2 * (value > 0))
        parts.append(svg.text(left - 12, y + 21, svg.cut(name, left - 20), text_anchor="end", kind="name"))
        look = (given.looks[number] if number < len(given.looks) else number) % 6
        parts.append(svg.element("rect", x=left, y=y, width=end - left, height=THICK, kind=f"bar look{look}"))
        parts.append(svg.text(end + 8, y + 21, written(value), kind="value"))
    height = TOP + len(given.bars) * (THICK + GAP)
    return svg.picture(given.title, described(given), *parts, height=height)


def described(given: Bars) -> str:
    """Return the picture in words."""
    return f"{given.says} {given.unit}: " + ", ".join(f"{name} {written(value)}" for name, value in given.bars) + "."
