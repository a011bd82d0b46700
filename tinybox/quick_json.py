"""JSON by the C half of Python's json module: the same reader and writer, without the regular expressions around them.

`import json` takes as long as half the start of Python, most of it for patterns that only its Python half uses. What is
written here is on one line, in ASCII. A test compares both halves.
"""

from __future__ import annotations

from _json import encode_basestring_ascii, make_encoder, make_scanner

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import IO, Any

_SPACE = " \t\n\r"


class _Settings:
    """What the C reader asks of a json.JSONDecoder."""

    strict = True
    object_hook = object_pairs_hook = None
    parse_float, parse_int = float, int

    @staticmethod
    def parse_constant(word: str) -> float:
        """Refuse NaN and Infinity, which are Python's and not JSON's."""
        raise ValueError(f"{word} is no JSON")


_scan = make_scanner(_Settings())  # type: ignore[arg-type]  # it wants something with these attributes


def loads(text: str) -> Any:
    """Return what the JSON *text* says; ValueError tells what is wrong, and where."""
    text = text.strip(_SPACE)
    try:
        value, end = _scan(text, 0)
    except StopIteration as error:
        raise ValueError(f"a value is missing at character {error.value}") from error
    if end < len(text):
        raise ValueError(f"there is more behind the value, at character {end}")
    return value


def dumps(value: Any) -> str:
    """Return *value* as JSON; TypeError: JSON has no word for it."""
    return "".join(make_encoder({}, _unknown, encode_basestring_ascii, None, ": ", ", ", False, False, False)(value, 0))


def _unknown(value: object) -> object:
    raise TypeError(f"JSON has no word for {type(value).__name__}")


def load(file: IO[str]) -> Any:
    """Return what the JSON in an open text *file* says."""
    return loads(file.read())


def dump(value: Any, file: IO[str]) -> None:
    """Write *value* to an open text *file*."""
    file.write(dumps(value))
