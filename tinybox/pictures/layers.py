"""Layers of files, one above the other, as overlayfs puts them together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinybox.pictures import svg

if TYPE_CHECKING:
    from tinybox.pictures.series import Layers

LINE, PAD, GAP, NAME = 27, 12, 20, 215  # units
SHOWN = 6  # files of a layer


def draw(given: Layers) -> str:
    """Return the picture: a plate for each layer; a file lies in the column that it has in all layers."""
    names = list(dict.fromkeys(name for layer in given.layers for name, _ in layer.files))[:SHOWN]
    wide = (svg.WIDTH - NAME - 30) / max(1, len(names))
    y, parts = 10.0, []
    height = PAD * 2 + LINE * 2
    for number, layer in enumerate(given.layers):
        kind = "seen" if number == 0 else f"plate{min(number, 2)}"
        parts.append(svg.element("rect", x=6, y=y, width=svg.WIDTH - 12, height=height, rx=8, kind=f"plate {kind}"))
        parts.append(svg.text(22, y + height / 2 + 6, svg.cut(layer.name, NAME), kind="name"))
        for file, note in layer.files:
            if file in names:
                x = NAME + 30 + names.index(file) * wide
                parts.append(
                    svg.text(x, y + PAD + 20, svg.cut(file, wide - 8, 17), kind=f"file {'' if note else 'plain'}")
                )
                parts.append(svg.text(x, y + PAD + 20 + LINE, svg.cut(note, wide - 8, 17), kind="note"))
        y += height + GAP
    return svg.picture(given.title, described(given), *parts, height=y)


def described(given: Layers) -> str:
    """Return the picture in words: the files of each layer, from the top."""
    parts = []
    for layer in given.layers:
        files = ", ".join(f"{name}{f' ({note})' if note else ''}" for name, note in layer.files)
        parts.append(f"{layer.name}: {files or 'no files'}.")
    return " ".join([given.says, *parts])
