"""JSON by the C half of Python's json module: the same reader and writer, without the regular expressions around them.

`import json` takes as long as half the start of Python, most of it for patterns that only its Python half uses. What is
written here is on one line, in ASCII. A test compares both halves.
"""

from __future__ import annotations

from _json import encode_basestring_ascii, make_encoder, make_scanner

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO, Any

_SPACE = " \t\n\r"
MOST = 1 << 25  # characters of a file; a config.json of ours has some thousand, and an image's config at most 4 MiB
_WORDS = {str: "text", int: "whole number", bool: "true or false"}


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
    """Return what the JSON *text* says; ValueError tells what is wrong, and where; one nested too deeply is wrong."""
    text = text.strip(_SPACE)
    try:
        value, end = _scan(text, 0)
    except StopIteration as error:
        raise ValueError(f"a value is missing at character {error.value}") from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    except SystemError as error:  # the C half raises json.JSONDecodeError, if its module happens to be loaded
        raise ValueError(_complaint(text)) from error
    if end < len(text):
        raise ValueError(f"there is more behind the value, at character {end}")
    return value


def _complaint(text: str) -> str:
    """Return what the whole json module, which is loaded only for this, has against *text*."""
    import json

    try:
        json.loads(text)
    except (ValueError, RecursionError) as error:
        return str(error)
    return "it is no JSON"


def dumps(value: Any) -> str:
    """Return *value* as JSON; TypeError: JSON has no word for it."""
    return "".join(make_encoder({}, _unknown, encode_basestring_ascii, None, ": ", ", ", False, False, False)(value, 0))


def _unknown(value: object) -> object:
    raise TypeError(f"JSON has no word for {type(value).__name__}")


def load(file: IO[str], most: int = MOST) -> Any:
    """Return what the JSON in an open text *file* says; ValueError: it is none, or has more than *most* characters."""
    text = file.read(most + 1)
    if len(text) > most:
        raise ValueError(f"it is larger than {most >> 20} MiB")
    return loads(text)


def read_object(path: str) -> Any:
    """Return the object in the file *path*; None where there is no file, or no JSON object in it.

    An object of tinybox's own files is replaced by rename(2), so it is never half written.
    """
    try:
        with open(path, encoding="utf-8") as file:
            found: object = load(file)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def misfit(value: Any, shape: Any, place: str = "") -> str:
    """Say which part of *value*, which JSON of somebody else's said, is not of *shape*; nothing where all of it is.

    A shape is a type; a list of one shape; or a dict: of shapes by their keys, "*" for any key, "KEY!" for one that
    must be there. Keys that it does not name may say anything, and null is as good as nothing, as to programs in Go.
    """
    if isinstance(shape, list):
        if not isinstance(value, list):
            return f"{place or 'it'} is no list"
        found = iter([misfit(part, shape[0], f"{place}[{number}]") for number, part in enumerate(value)])
    elif isinstance(shape, dict):
        if not isinstance(value, dict):
            return f"{place or 'it'} is no object"
        found = _misfits(value, shape, f"{place}." if place else "")
    else:
        return "" if _is(value, shape) else f"{place} is no {_WORDS[shape]}"
    return next(filter(None, found), "")


def _misfits(value: dict[str, Any], shape: dict[str, Any], place: str) -> Iterator[str]:
    for key, below in shape.items():
        name = key.removesuffix("!")
        if name != key and value.get(name) is None:
            yield f"{place}{name} is missing"
        for each in value if name == "*" else (name,):
            if not _is(each, str):
                yield f"{place}{each!r} is no text"
            if value.get(each) is not None:
                yield misfit(value[each], below, f"{place}{each}")


def _is(value: object, kind: type) -> bool:
    """Tell whether *value* is a *kind*; true is no number here, and what no system call can be told is no text."""
    if kind is not str:
        return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
    try:
        return isinstance(value, str) and b"\0" not in value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # half of a surrogate pair: no character
        return False
