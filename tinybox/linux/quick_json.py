"""JSON: load, dump and check values with the C part of Python's json module, which is much faster to import.

`import json` takes half as long as the start of Python, mostly to compile regular expressions that only the Python part
of that module uses. The JSON written here is one line of ASCII. A test compares this file with the json module.
"""

from __future__ import annotations

import errno
import os
import stat
from _json import encode_basestring_ascii, make_encoder, make_scanner

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import IO, Any

_SPACE = " \t\n\r"
MOST = 1 << 25  # characters of a file: tinybox's config.json has some thousand, an image's config at most 4 MiB
DEEPEST = 100  # levels of lists and objects: Python's own limit is 1000, and a config.json of OCI needs 10
INT64 = range(-(1 << 63), 1 << 64)  # the shape of a number that a system call or a clock takes
_KINDS = {str: "text", int: "whole number", float: "number", bool: "true or false"}
_DAMAGE = (errno.EISDIR, errno.ELOOP, errno.ENXIO, errno.EIO)  # a file of tinybox that is no readable file any more


class _Settings:
    """The attributes of a json.JSONDecoder that the C scanner reads."""

    strict = True
    object_hook = object_pairs_hook = None
    parse_int = int

    @staticmethod
    def parse_float(text: str) -> float:
        """Return the number *text*; ValueError for one that a float cannot have, such as 1e999, which were infinite."""
        number = float(text)
        if number - number:
            raise ValueError(f"{text[:40]} is too large a number")
        return number

    @staticmethod
    def parse_constant(name: str) -> float:
        """Raise ValueError for NaN and Infinity, which the json module accepts though JSON does not have them."""
        raise ValueError(f"{name} is not valid JSON")


_scan = make_scanner(_Settings())  # type: ignore[arg-type]  # it reads these attributes of any object


def loads(text: str) -> Any:
    """Return the value of the JSON *text*; ValueError: the text is not valid JSON (and where), or nested too deeply."""
    text = text.strip(_SPACE)
    try:
        value, end = _scan(text, 0)
    except StopIteration as error:
        raise ValueError(f"a value is missing at character {error.value}") from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    except SystemError as error:  # the C part raises json.JSONDecodeError only if the json module is imported
        raise ValueError(_error_in(text)) from error
    if end < len(text):
        raise ValueError(f"there is more text after the value, at character {end}")
    if text.count("[") + text.count("{") > DEEPEST and _is_deep(value):
        raise ValueError("it is nested too deeply")
    return value


def value_at(text: str, begin: int) -> Any:
    """Return the value of the JSON that begins at the character *begin* of *text*, which `dumps` has made."""
    return _scan(text, begin)[0]


def _is_deep(value: object) -> bool:
    """Return whether *value* has more than DEEPEST levels: a value must also be written again, and shown."""
    level = [value]
    for _ in range(DEEPEST):
        level = [
            below
            for each in level
            if isinstance(each, list | dict)
            for below in (each.values() if isinstance(each, dict) else each)
        ]
    return any(isinstance(each, list | dict) for each in level)


def _error_in(text: str) -> str:
    """Return the error message of the json module for *text*; the module is imported only for this."""
    import json

    try:
        json.loads(text)
    except (ValueError, RecursionError) as error:
        return str(error)
    return "it is not valid JSON"


def dumps(value: Any) -> str:
    """Return *value* as JSON text; TypeError: JSON cannot represent it."""
    return "".join(make_encoder({}, _unknown, encode_basestring_ascii, None, ": ", ", ", False, False, False)(value, 0))


def _unknown(value: object) -> object:
    raise TypeError(f"JSON cannot represent {type(value).__name__}")


def load(file: IO[str], most: int = MOST) -> Any:
    """Return the value of the JSON in an open text *file*; ValueError: not JSON, or more than *most* characters."""
    text = file.read(most + 1)
    if len(text) > most:
        raise ValueError(f"it is larger than {most >> 20} MiB")
    return loads(text)


def read_own(
    path: str, shape: Any, trust: Callable[[int, str], object] = lambda *_: None, *, with_nulls: bool = False
) -> Any:
    """Return the value in *path*, a file of tinybox's own, which must have this *shape*, see misfit; without its nulls.

    None: there is no such file. ValueError: it is damaged, and how.

    *trust* is called with the open file and *path*, before it is read: it raises an error if its owner is a stranger.

    It is replaced by rename(2), so it is never half written. A fifo in its place is not waited for: O_NONBLOCK.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if error.errno in _DAMAGE:
            raise ValueError(f"it cannot be read: {error.strerror}") from error
        raise
    try:
        trust(fd, path)
        info = os.fstat(fd)
        if not stat.S_ISREG(info.st_mode):
            raise ValueError("it is no regular file")
        if info.st_size > MOST:
            raise ValueError(f"it is larger than {MOST >> 20} MiB")
        text = os.read(fd, info.st_size).decode()
    finally:
        os.close(fd)
    found = loads(text)
    if not (_is_plain(text) and _fits(found, shape)) and (wrong := misfit(found, shape)):
        raise ValueError(wrong)
    return found if with_nulls or "null" not in text else without_nulls(found)


def without_nulls(value: Any) -> Any:
    """Return *value* without the keys whose value is null, which counts as a missing key; lists keep their nulls."""
    if isinstance(value, dict):
        return {key: without_nulls(below) for key, below in value.items() if below is not None}
    return [without_nulls(below) for below in value] if isinstance(value, list) else value


def misfit(value: Any, shape: Any, place: str = "") -> str:
    """Return which part of *value*, from a JSON file of another program, does not fit *shape*; "" if all of it fits.

    A shape is a type; a range of whole numbers; a tuple of the allowed texts; a list of one shape; or a dict from keys
    to shapes, with "*" for any key, and "KEY!" for a key that is required. Keys that the dict does not name may have
    any value, and null counts as a missing key, as it does for programs in Go. *place* is the path of *value* in the
    file.
    """
    if isinstance(shape, list):
        if not isinstance(value, list):
            return f"{place or 'it'} is no list"
        found = iter([misfit(part, shape[0], f"{place}[{number}]") for number, part in enumerate(value)])
    elif isinstance(shape, dict):
        if not isinstance(value, dict):
            return f"{place or 'it'} is no object"
        found = _misfits(value, shape, f"{place}." if place else "")
    elif isinstance(shape, range):
        fits = _is(value, int) and value in shape
        return "" if fits else f"{place} is no whole number from {shape[0]} to {shape[-1]}"
    elif isinstance(shape, tuple):
        return "" if _is(value, str) and value in shape else f"{place} is none of {', '.join(shape)}"
    else:
        return "" if _is(value, shape) else f"{place} is no {_KINDS[shape]}"
    return next(filter(None, found), "")


def _is_plain(text: str) -> bool:
    """Return whether each text in the JSON *text* is ASCII without a zero byte, and so needs no look of its own."""
    return text.isascii() and "\\u" not in text


def _fits(value: Any, shape: Any) -> bool:
    """Return whether *value*, from a plain text, surely has this *shape*; `misfit` decides if not, and says why.

    Nearly every file is as tinybox has written it, and this takes a fifth of the time of `misfit`: `ps` reads a
    thousand of them.
    """
    kind = type(shape)
    if kind is type:
        return type(value) is shape and shape is not float
    if kind is range:
        return type(value) is int and value in shape
    if kind is tuple:
        return value in shape
    if type(value) is not kind:
        return False
    return _each_fits(value, shape[0]) if kind is list else _keys_fit(value, shape)


def _each_fits(values: Iterable[Any], shape: Any) -> bool:
    for value in values:  # noqa: SIM110  all() of a generator takes longer
        if not _fits(value, shape):
            return False
    return True


def _keys_fit(value: dict[str, Any], shape: dict[str, Any]) -> bool:
    for key, below in shape.items():
        if key == "*":
            if not _each_fits(value.values(), below):
                return False
        elif key[-1] == "!":
            if not _fits(value.get(key[:-1]), below):
                return False
        elif (each := value.get(key)) is not None and not _fits(each, below):
            return False
    return True


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
    """Return whether *value* is a *kind*: true is not a number, and text must be a possible argument of a system call.

    So a text with a zero byte, or with a character that UTF-8 cannot encode, does not count as text. A
    float is at most as large as an integer of 64 bits: it is a number of seconds or bytes.
    """
    if kind is bool:
        return isinstance(value, bool)
    if kind is not str:
        if isinstance(value, bool) or not isinstance(value, int if kind is int else int | float):
            return False
        return kind is int or INT64[0] <= value <= INT64[-1]
    try:
        return isinstance(value, str) and b"\0" not in value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # half of a surrogate pair, which is not a character
        return False
