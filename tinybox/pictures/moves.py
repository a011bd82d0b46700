"""States of a process on a circle, and the moves between them: a full line for a move that this run has seen."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tinybox.pictures import svg

if TYPE_CHECKING:
    from tinybox.pictures.series import Moves

HEIGHT, RADIUS = 520, 30  # units
CENTRE, REACH = (380.0, 262.0), (300.0, 205.0)
SMALL = 18  # the size of the words beside a move
ARROW = svg.element(
    "marker",
    svg.element("path", d="M0 0L10 5L0 10z", kind="arrow"),
    id="arrow", viewBox="0 0 10 10", refX=9, refY=5, markerWidth=7, markerHeight=7, orient="auto-start-reverse",
)  # fmt: skip


def draw(given: Moves) -> str:
    """Return the picture: the first state is in the middle, the others are around it."""
    places = _places(list(given.states))
    moves = [move for move in given.moves if move.start in places and move.end in places]
    pairs = {(move.start, move.end) for move in moves}
    parts = [svg.element("defs", ARROW)]
    for move in moves:
        bend = 0.24 if (move.end, move.start) in pairs else 0.0
        parts.append(_move(places[move.start], places[move.end], bend, move.by, seen=move.seen))
    for letter, meaning in given.states.items():
        x, y = places[letter]
        parts.append(svg.element("circle", cx=x, cy=y, r=RADIUS, kind="state"))
        parts.append(svg.text(x, y + 9, letter, text_anchor="middle", kind="letter"))
        below = y + RADIUS + 20 if y > CENTRE[1] - 20 else y - RADIUS - 9
        middle = (x, y) == CENTRE  # most lines begin there: its words are on the left
        parts.append(
            svg.text(x - 12 * middle, below, meaning, text_anchor="end" if middle else "middle", kind="meaning")
        )
    return svg.picture(given.title, described(given), *parts, height=HEIGHT)


def described(given: Moves) -> str:
    """Return the picture in words."""
    seen = [f"{move.start} to {move.end} by {move.by}" for move in given.moves if move.seen]
    missed = [f"{move.start} to {move.end} by {move.by}" for move in given.moves if not move.seen]
    parts = [given.says, f"Seen in this run: {', '.join(seen) or 'no move'}."]
    return " ".join([*parts, f"Not seen: {', '.join(missed)}."] if missed else parts)


def _places(states: list[str]) -> dict[str, tuple[float, float]]:
    first, *around = states or [""]
    places = {first: CENTRE}
    for number, state in enumerate(around):
        angle = -math.pi / 2 + 2 * math.pi * (number + 0.5) / len(around)
        places[state] = (CENTRE[0] + REACH[0] * math.cos(angle), CENTRE[1] + REACH[1] * math.sin(angle))
    return places


def _move(start: tuple[float, float], end: tuple[float, float], bend: float, by: str, *, seen: bool) -> str:
    """Return an arrow between the edges of two states, bent if there is one back, with its words beside it."""
    (x1, y1), (x2, y2) = start, end
    far = math.hypot(x2 - x1, y2 - y1) or 1.0
    ux, uy = (x2 - x1) / far, (y2 - y1) / far
    side = bend * far  # to the left of the way
    cx, cy = (x1 + x2) / 2 + uy * side, (y1 + y2) / 2 - ux * side
    first, last = _edge((x1, y1), (cx, cy)), _edge((x2, y2), (cx, cy))
    d = "M{} {}Q{} {} {} {}".format(*map(svg.shown, (*first, cx, cy, *last)))
    x, y = (x1 + x2) / 4 + cx / 2 + uy * 4, (y1 + y2) / 4 + cy / 2 - ux * 4 + 5
    line = svg.element("path", d=d, marker_end="url(#arrow)", kind=f"move {'done' if seen else 'missed'}")
    return line + svg.text(x, y, by, text_anchor="middle", kind=f"by {'' if seen else 'missed'}", font_size=SMALL)


def _edge(state: tuple[float, float], towards: tuple[float, float]) -> tuple[float, float]:
    far = math.hypot(towards[0] - state[0], towards[1] - state[1]) or 1.0
    return tuple(state[axis] + (towards[axis] - state[axis]) / far * (RADIUS + 3) for axis in (0, 1))  # type: ignore[return-value]
