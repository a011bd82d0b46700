"""Draw any picture: its SVG text, its description, and its figures as the rows of a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinybox.pictures import bars, cells, curves, layers, moves
from tinybox.pictures.scale import written
from tinybox.pictures.series import Bars, Cells, Curves, Layers, Moves

if TYPE_CHECKING:
    from types import ModuleType

    from tinybox.pictures.series import Picture

DRAWN_BY: dict[Any, ModuleType] = {Curves: curves, Bars: bars, Cells: cells, Moves: moves, Layers: layers}


def draw(picture: Picture) -> str:
    """Return the SVG element of a picture, for the inside of an HTML page."""
    drawn: str = DRAWN_BY[type(picture)].draw(picture)
    return drawn


def described(picture: Picture) -> str:
    """Return a picture in words: the text alternative, with its most important figures."""
    said: str = DRAWN_BY[type(picture)].described(picture)
    return said


def table(picture: Picture) -> list[list[str]]:
    """Return the figures of a picture as a table, the heads of its columns first."""
    if isinstance(picture, Curves):
        return _curves(picture)
    if isinstance(picture, Bars):
        return [["", picture.unit], *([name, written(value)] for name, value in picture.bars)]
    if isinstance(picture, Cells):
        rows = [[name, *(written(letters.count(kind)) for kind in picture.kinds)] for name, letters in picture.rows]
        return [["", *picture.kinds.values()], *rows]
    if isinstance(picture, Moves):
        told = [[move.start, move.end, move.by, "yes" if move.seen else "no"] for move in picture.moves]
        return [["from", "to", "by", "seen"], *told]
    return [["layer", "file", ""], *([layer.name, *file] for layer in picture.layers for file in layer.files)]


def _curves(picture: Curves) -> list[list[str]]:
    rows = sorted({x for curve in picture.curves for x, _ in curve.points})
    found = [dict(curve.points) for curve in picture.curves]
    heads = [picture.across.name, *(curve.name for curve in picture.curves)]
    return [heads, *([written(x), *(written(each[x]) if x in each else "" for each in found)] for x in rows)]
