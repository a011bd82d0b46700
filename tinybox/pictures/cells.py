"""Cells: each page of a memory is a small square; one field for each moment, beside one another."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

from tinybox.pictures import svg
from tinybox.pictures.scale import written

if TYPE_CHECKING:
    from tinybox.pictures.series import Cells

GAP, TOP = 26, 34  # units between two fields; above them


def draw(given: Cells) -> str:
    """Return the picture: a square field of cells for each moment, and below them the meaning of each look."""
    fields = max(1, len(given.rows))
    side = min(300.0, (svg.WIDTH - GAP * (fields + 1)) / fields)
    left = (svg.WIDTH - fields * side - (fields - 1) * GAP) / 2
    looks = {letter: number for number, letter in enumerate(given.kinds)}
    parts = []
    for number, (name, letters) in enumerate(given.rows):
        x = left + number * (side + GAP)
        parts.append(svg.text(x + side / 2, 22, svg.cut(name, side + GAP), text_anchor="middle", kind="name"))
        parts += _field(letters, looks, x, side)
    y = TOP + side + 18
    for letter, meaning in given.kinds.items():
        parts.append(svg.element("rect", x=left, y=y, width=20, height=20, kind=f"cell cell{looks[letter] % 4}"))
        counts = ", ".join(written(letters.count(letter)) for _, letters in given.rows)
        parts.append(svg.text(left + 30, y + 17, f"{meaning}: {counts}", kind="legend"))
        y += 28
    return svg.picture(given.title, described(given), *parts, height=y + 4)


def described(given: Cells) -> str:
    """Return the picture in words: how many cells of each kind there are at each moment."""
    moments = []
    for name, letters in given.rows:
        counts = [f"{written(letters.count(kind))} {meaning}" for kind, meaning in given.kinds.items()]
        moments.append(f"{name}: {', '.join(counts)}.")
    return " ".join([given.says, *moments])


def _field(letters: str, looks: dict[str, int], x: float, side: float) -> list[str]:
    """Return the cells of one field, row by row; neighbours of one kind are one path, so that the page stays small."""
    across = math.ceil(math.sqrt(len(letters))) or 1
    size = side / across
    paths: dict[str, list[str]] = {}
    for row in range(0, len(letters), across):
        column = 0
        for letter, run in itertools.groupby(letters[row : row + across]):
            count = len(list(run))
            start = f"M{svg.shown(x + column * size)} {svg.shown(TOP + row / across * size)}"
            paths.setdefault(letter, []).append(
                f"{start}h{svg.shown(count * size)}v{svg.shown(size)}h{svg.shown(-count * size)}z"
            )
            column += count
    fields = [
        svg.element("path", d="".join(path), kind=f"cell cell{looks.get(letter, 0) % 4}")
        for letter, path in paths.items()
    ]
    return [*fields, svg.element("rect", x=x, y=TOP, width=side, height=side, kind="frame")]
