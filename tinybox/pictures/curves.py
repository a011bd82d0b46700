"""Curves over an axis: each with its name at its end, and with a form of line of its own, not only a colour."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinybox.pictures import svg
from tinybox.pictures.scale import Scale, written

if TYPE_CHECKING:
    from tinybox.pictures.series import Curve, Curves

TOP, BOTTOM = 44, svg.HEIGHT - 66  # of the paper, in units
APART = 23  # units between two names
EARLY = 40  # units before the right edge: a curve that ends there has its name at its end
LOOKS = 6  # colours and forms of lines, in drawing.css
MARKED = 40  # points at most that have a mark of their own


def draw(given: Curves) -> str:
    """Return the picture of some curves."""
    points = [point for curve in given.curves for point in curve.points]
    levels = [y for _, y in points] + ([given.limit[1]] if given.limit else [])
    up = Scale(levels, BOTTOM, TOP, logarithmic=given.up.logarithmic)
    names = [curve.name for curve in given.curves] + ([given.limit[0]] if given.limit else [])
    left = 22 + max(svg.length(written(tick)) for tick in up.ticks)
    right = svg.WIDTH - 26 - min(260, max([60, *map(svg.length, names)]))
    across = Scale([x for x, _ in points], left, right, logarithmic=given.across.logarithmic, tight=True)
    return svg.picture(
        given.title,
        described(given),
        *_axes(given, across, up),
        *([_limit(up.place(given.limit[1]), left, right)] if given.limit else []),
        *(_curve(curve, number % LOOKS, across, up) for number, curve in enumerate(given.curves)),
        *_names(given, across, up),
    )


def described(given: Curves) -> str:
    """Return the picture in words: for each curve its first, its lowest, its highest and its last point."""
    parts = [f"{given.up.name} over {given.across.name}."]
    for curve in given.curves:
        if curve.points:
            values = [y for _, y in curve.points]
            (first, start), (last, end) = curve.points[0], curve.points[-1]
            parts.append(
                f"{curve.name}: {written(start)} at {written(first)}, {written(end)} at {written(last)};"
                f" lowest {written(min(values))}, highest {written(max(values))}."
            )
    return " ".join([given.says, *parts])


def _axes(given: Curves, across: Scale, up: Scale) -> list[str]:
    left, right = across.start, across.end
    parts = [svg.text(8, 24, given.up.name, kind="axis")]
    for tick in up.ticks:
        y = up.place(tick)
        parts.append(svg.element("line", x1=left, x2=right, y1=y, y2=y, kind="grid"))
        parts.append(svg.text(left - 10, y + 6, written(tick), text_anchor="end", kind="tick"))
    room, last = 0.0, -1000.0
    for tick in across.ticks:
        x, said = across.place(tick), written(tick)
        parts.append(svg.element("line", x1=x, x2=x, y1=BOTTOM, y2=BOTTOM + 7, kind="grid"))
        room = svg.length(said) / 2
        if x - room > last:  # else the numbers would lie on one another
            parts.append(svg.text(x, BOTTOM + 27, said, text_anchor="middle", kind="tick"))
            last = x + room + 8
    parts.append(svg.text((left + right) / 2, svg.HEIGHT - 8, given.across.name, text_anchor="middle", kind="axis"))
    return parts


def _limit(y: float, left: float, right: float) -> str:
    return svg.element("line", x1=left, x2=right, y1=y, y2=y, kind="limit")


def _curve(curve: Curve, look: int, across: Scale, up: Scale) -> str:
    places = [(across.place(x), up.place(y)) for x, y in curve.points]
    parts = []
    if curve.form != "dots" and places:
        parts.append(svg.element("path", d=_path(places, steps=curve.form == "steps"), kind=f"line look{look}"))
    if curve.form == "dots" or (len(places) <= MARKED and curve.form != "steps"):
        parts += [svg.element("circle", cx=x, cy=y, r=5, kind=f"mark look{look}") for x, y in places]
    return "".join(parts)


def _path(places: list[tuple[float, float]], *, steps: bool) -> str:
    (x, y), *rest = places
    written_path = [f"M{svg.shown(x)} {svg.shown(y)}"]
    for x, y in rest:
        written_path.append(f"H{svg.shown(x)}V{svg.shown(y)}" if steps else f"L{svg.shown(x)} {svg.shown(y)}")
    return "".join(written_path)


def _names(given: Curves, across: Scale, up: Scale) -> list[str]:
    """Return the name of each curve at its end; names beside the paper are moved so that none lies on another."""
    parts, beside = [], []
    for number, curve in enumerate(given.curves):
        kind = f"name look{number % LOOKS}"
        if curve.points:
            x, y = across.place(curve.points[-1][0]), up.place(curve.points[-1][1])
            if x < across.end - EARLY:
                parts.append(svg.text(x - 8, y - 13, curve.name, text_anchor="end", kind=kind))
            else:
                beside.append((y, curve.name, kind))
    if given.limit:
        beside.append((up.place(given.limit[1]), given.limit[0], "name ofthelimit"))
    beside.sort()
    x = across.end + 12
    heights = _spread([y for y, _, _ in beside])
    parts += [
        svg.text(x, y + 6, svg.cut(name, svg.WIDTH - x), kind=kind)
        for y, (_, name, kind) in zip(heights, beside, strict=True)
    ]
    return parts


def _spread(heights: list[float]) -> list[float]:
    """Return *heights*, moved apart as far as needed, and none of them below the paper."""
    placed: list[float] = []
    for y in heights:
        placed.append(max(y, placed[-1] + APART) if placed else y)
    bottom = float(BOTTOM)
    for number in reversed(range(len(placed))):
        placed[number] = min(placed[number], bottom)
        bottom = placed[number] - APART
    return placed
