"""The figures of a picture as data: what a lab notes, what is printed as JSON, and what a picture is drawn from.

``as_data`` and ``read`` are inverse: a picture can be drawn later, on another machine, from the JSON of a run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from tinybox.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST = 20_000  # points, cells or rows of one picture: a file from a stranger must not fill the memory


class Axis(NamedTuple):
    """The name of an axis, with its unit, and whether each step along it multiplies by ten."""

    name: str
    logarithmic: bool = False


class Curve(NamedTuple):
    """One curve: its name and its points; *steps* for a figure that jumps, *dots* for points that no line connects."""

    name: str
    points: list[tuple[float, float]]
    form: str = "line"  # or "steps", "dots"


class Curves(NamedTuple):
    """Curves over a common axis; *says* is a sentence about them, *source* the file or call that they are from."""

    title: str
    says: str
    source: str
    across: Axis
    up: Axis
    curves: list[Curve]
    limit: tuple[str, float] | None = None  # a horizontal line, with its name


class Bars(NamedTuple):
    """One bar for each name; the length is the value in *unit*; *looks* is the look of each, else each has its own."""

    title: str
    says: str
    source: str
    unit: str
    bars: list[tuple[str, float]]
    logarithmic: bool = False
    looks: tuple[int, ...] = ()


class Cells(NamedTuple):
    """Small equal parts in their order, such as pages of memory: a letter for each, and the meaning of each letter."""

    title: str
    says: str
    source: str
    kinds: dict[str, str]
    rows: list[tuple[str, str]]  # the name of a moment, and the letters of its cells


class Move(NamedTuple):
    """A move from one state to another: by which call or signal, and whether this run has seen it."""

    start: str
    end: str
    by: str
    seen: bool


class Moves(NamedTuple):
    """States, with the meaning of each, and the moves between them."""

    title: str
    says: str
    source: str
    states: dict[str, str]
    moves: list[Move]


class Layer(NamedTuple):
    """One directory of an overlay: its name, and its files, each with a word about it (empty for a plain file)."""

    name: str
    files: list[tuple[str, str]]


class Layers(NamedTuple):
    """Layers, the top one first; the first of all is what a process sees."""

    title: str
    says: str
    source: str
    layers: list[Layer]


Picture: TypeAlias = Curves | Bars | Cells | Moves | Layers
KINDS: dict[str, Any] = {kind.__name__.lower(): kind for kind in (Curves, Bars, Cells, Moves, Layers)}


def as_data(picture: Picture) -> dict[str, Any]:
    """Return a picture's figures for JSON."""
    return {"kind": type(picture).__name__.lower(), **{key: _plain(value) for key, value in picture._asdict().items()}}


def _plain(value: Any) -> Any:
    if hasattr(value, "_asdict"):
        return {key: _plain(below) for key, below in value._asdict().items()}
    if isinstance(value, list | tuple):
        return [_plain(below) for below in value]
    return value


def read(data: Any) -> Picture:
    """Return the picture of *data*, the result of as_data; UsageError if it is none."""
    try:
        kind, rest = data["kind"], {key: value for key, value in data.items() if key != "kind"}
        picture: Picture = KINDS[kind](**{key: _READERS.get(key, str)(value) for key, value in rest.items()})
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        cause = "the figures of a picture are not in the form that `tinybox lab run --json` prints"
        raise UsageError("picture", cause, "run the lab again") from error
    return picture


def _list(reader: Callable[[Any], Any]) -> Callable[[Any], list[Any]]:
    def listed(value: Any) -> list[Any]:
        if not isinstance(value, list) or len(value) > LONGEST:
            raise ValueError("no list, or too long")
        return [reader(each) for each in value]

    return listed


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e18:
        raise ValueError("no number")
    return value


def _axis(value: Any) -> Axis:
    return Axis(str(value["name"]), value["logarithmic"] is True)


def _point(value: Any) -> tuple[float, float]:
    across, up = value
    return _number(across), _number(up)


def _curve(value: Any) -> Curve:
    return Curve(str(value["name"]), _list(_point)(value["points"]), str(value["form"]))


def _named(value: Any) -> tuple[str, float]:
    name, number = value
    return str(name), _number(number)


def _words(value: Any) -> tuple[str, str]:
    one, other = value
    if len(str(other)) > LONGEST:
        raise ValueError("too long")
    return str(one), str(other)


def _meanings(value: Any) -> dict[str, str]:
    return dict(_words(pair) for pair in value.items())


_READERS: dict[str, Callable[[Any], Any]] = {
    "across": _axis,
    "up": _axis,
    "curves": _list(_curve),
    "limit": lambda value: None if value is None else _named(value),
    "bars": _list(_named),
    "logarithmic": lambda value: value is True,
    "looks": lambda value: tuple(map(int, _list(_number)(value))),
    "kinds": _meanings,
    "rows": _list(_words),
    "states": _meanings,
    "moves": _list(lambda move: Move(str(move["start"]), str(move["end"]), str(move["by"]), move["seen"] is True)),
    "layers": _list(lambda layer: Layer(str(layer["name"]), _list(_words)(layer["files"]))),
}
