"""The corpus of hostile inputs: damaged files, values of wrong types, documents, templates, numbers and words."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def _make_huge(path: str) -> None:
    with open(path, "wb") as file:
        file.truncate(1 << 28)


DAMAGED_TEXTS: dict[str, bytes] = {
    "empty": b"",
    "cut": b'{"status": "stop',
    "a list": b"[]",
    "a list of objects": b"[{}]",
    "an empty object": b"{}",
    "a number": b"5",
    "null": b"null",
    "NaN": b'{"status": NaN}',
    "infinite": b'{"createdAt": 1e999}',
    "no UTF-8": b"\xff\xfe\x00",
    "deep": b"[" * 200_000,
    "not so deep": b'{"a":' * 400 + b"1" + b"}" * 400,
    "many digits": b'{"createdAt": ' + b"9" * 5000 + b"}",
    "another type": b'{"status": ["stopped"], "annotations": 5}',
}
# Other kinds of files, in the place of a record.
DAMAGED_FILES: dict[str, Callable[[str], object]] = {
    "a directory": os.mkdir,
    "a fifo": os.mkfifo,
    "a link to itself": lambda path: os.symlink(path, path),
    "a file of 256 MiB": _make_huge,
}
VALUES: tuple[Any, ...] = (
    None,
    5,
    -1,
    10**20,
    1e308,
    "x",
    "",
    [],
    {},
    True,
    [None],
    {"a": None},
    [[1]],
    [{"a": [5]}],
    "\x1b]0;title\x07\n",
)


@contextmanager
def damaged(path: str, damage: Callable[[str], object] | bytes) -> Iterator[None]:
    """Put something else in the place of the file *path*, and the file back at the end."""
    mode = os.stat(path).st_mode & 0o777
    os.rename(path, f"{path}.sound")
    try:
        if isinstance(damage, bytes):
            with open(os.open(path, os.O_WRONLY | os.O_CREAT, mode), "wb") as file:
                file.write(damage)
        else:
            damage(path)
        yield
    finally:
        if os.path.exists(os.path.dirname(path)):  # else the box was removed
            if os.path.isdir(path) and not os.path.islink(path):
                shutil.rmtree(path)
            os.replace(f"{path}.sound", path)


def mutations(document: Any) -> Iterator[tuple[str, Any]]:
    """Yield *document* with one value replaced by each of VALUES, for every place in it; and the place as text."""
    for place in _places(document):
        for value in VALUES:
            yield f"{'.'.join(map(str, place))}={value!r}", _changed(document, place, value)


def _places(document: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield above
    if isinstance(document, dict):
        for key, value in document.items():
            yield from _places(value, (*above, key))
    elif isinstance(document, list):
        for number, value in enumerate(document[:2]):
            yield from _places(value, (*above, number))
    elif isinstance(document, str) and document[:1] in ("[", "{"):  # an annotation that is JSON
        try:
            within = json.loads(document)
        except ValueError:  # a text that begins like JSON
            return
        for place in _places(within):
            yield (*above, json.loads, *place)


def _changed(document: Any, place: tuple[Any, ...], value: Any) -> Any:
    if not place:
        return value
    first, *rest = place
    if first is json.loads:
        return json.dumps(_changed(json.loads(document), tuple(rest), value))
    copy = dict(document) if isinstance(document, dict) else [*document]
    copy[first] = _changed(document[first], tuple(rest), value)
    return copy
