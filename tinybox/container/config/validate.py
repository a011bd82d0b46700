"""Validate the config.json of another tool before it is used: each value must be of the kind in fields.py.

The specification has two rules. An unknown field is ignored, so that a config.json of a later version runs today. A
known field with a wrong value, or one that tinybox does not support, is an error that names the field.
"""

from __future__ import annotations

import os

from tinybox.container.config import fields, rules
from tinybox.container.records import spec
from tinybox.errors import UsageError
from tinybox.linux import quick_json as json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tinybox.container.records.spec_types import Process, Spec

RANGES = {
    "int32": (-(2**31), 2**31 - 1),
    "int64": (-(2**63), 2**63 - 1),
    "uint16": (0, 2**16 - 1),
    "uint32": (0, 2**32 - 1),
    "uint64": (0, 2**64 - 1),
    "id": (0, 2**32 - 2),
}
TYPES: dict[str, type] = {"str": str, "bool": bool, "object": dict}
EACH, ANY = "[]", "*"


class Field:
    """One field of the table: its kind, whether it is required, why it is refused, and the fields below it by name."""

    def __init__(self) -> None:
        self.kind, self.required, self.refused = "", False, ""
        self.below: dict[str, Field] = {}


def load(bundle: str) -> Spec:
    """Read and check the config.json of a *bundle* of another tool; UsageError names the field that is wrong.

    A field that is null counts as missing, as in all runtimes that are written in Go.
    """
    path = os.path.join(bundle, "config.json")
    try:
        with open(path, encoding="utf-8") as file:
            config = json.load(file)
    except OSError as error:
        raise UsageError(path, (error.strerror or "").lower(), "a bundle is a directory with config.json") from error
    except ValueError as error:
        raise UsageError(path, f"is not JSON: {error}") from error
    return check(config)


def check(config: Any) -> Spec:
    """Return *config* without null and unknown fields; UsageError names the first field that is wrong."""
    checked: Spec = _object(config, _tree(), "")
    rules.check(checked)
    if wrong := spec.misfit_of_annotations(checked.get("annotations", {})):
        raise UsageError("annotations", wrong, "leave it out: tinybox sets it")
    return checked


def check_process(process: Any) -> Process:
    """Check the ``process`` object of an exec, and return it, as `check` does for a whole config.json."""
    checked: Process = _object(process, _tree().below["process"], "process")
    rules.check_process(checked)
    return checked


def check_resources(resources: Any) -> dict[str, Any]:
    """Check the ``linux.resources`` object of an update, and return it, as `check` does for a config.json."""
    place = "linux.resources"
    checked: dict[str, Any] = _object(resources, _tree().below["linux"].below["resources"], place)
    rules.check_resources(checked)
    return checked


def _tree() -> Field:
    """Return the tree of fields, which is made of the table at the first call."""
    if not _root.below:
        for line in fields.TEXT.splitlines()[1:]:
            paths, kind = line.split()
            for path in _each(paths):
                field = _node(path)
                field.kind, field.required = kind.removesuffix("!"), kind.endswith("!")
        for path, why in fields.REFUSED.items():
            _node(path).refused = why
    return _root


_root = Field()


def _each(paths: str) -> list[str]:
    """Return the single paths that *paths* stands for: ``x.{a,b}`` is ``x.a`` and ``x.b``."""
    before, brace, rest = paths.partition("{")
    if not brace:
        return [paths]
    choices, _, after = rest.partition("}")
    return [f"{before}{choice}{end}" for choice in choices.split(",") for end in _each(after)]


def _node(path: str) -> Field:
    field = _root
    for name in path.replace(EACH, f".{EACH}").split("."):
        field = field.below.setdefault(name, Field())
    return field


def _object(value: Any, field: Field, place: str) -> Any:
    if not isinstance(value, dict):
        raise _wrong(place or "config.json", value, "an object")
    kept = {}
    for name, part in value.items():
        where = f"{place}.{name}" if place else name
        below = field.below.get(name) or field.below.get(ANY)
        if part is None or below is None:
            continue
        if below.refused and not part and place:
            continue  # the empty value of such a field asks for nothing; a section of another platform does
        if below.refused:
            raise UsageError(where, below.refused, "leave it out")
        kept[name] = _value(part, below, below.kind, where)
    for name, below in field.below.items():
        if below.required and kept.get(name) in (None, "", []):
            raise UsageError(f"{place}.{name}" if place else name, "is missing or empty")
    return kept


def _value(value: Any, field: Field, kind: str, place: str) -> Any:
    if kind[:1] == "[":
        return _list(value, field, kind[1:-1], place)
    if kind == "object":
        return _object(value, field, place)
    _check_kind(value, kind, place)
    if isinstance(value, str):
        _check_text(value, place)
    return value


def _check_kind(value: Any, kind: str, place: str) -> None:
    if kind == "/":
        if not isinstance(value, str) or (value and not value.startswith("/")):
            raise _wrong(place, value, "an absolute path")
    elif kind in RANGES:
        low, high = RANGES[kind]
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise _wrong(place, value, f"a whole number from {low} to {high}")
    elif kind in TYPES:
        if not isinstance(value, TYPES[kind]):
            raise _wrong(place, value, {"str": "a string", "bool": "true or false"}[kind])
    elif value not in kind.split("|"):
        raise _wrong(place, value, f"one of {', '.join(filter(None, kind.split('|')))}")


def _check_text(value: str, place: str) -> None:
    """Raise UsageError for a string that cannot be passed to the kernel, whose strings end at the first zero byte."""
    try:
        if b"\0" not in os.fsencode(value):
            return
    except UnicodeEncodeError:  # half of a surrogate pair, which is not a character
        pass
    raise _wrong(place, value, "a text for the kernel: it has a zero byte or half of a surrogate pair")


def _list(value: Any, field: Field, kind: str, place: str) -> list[Any]:
    if not isinstance(value, list):
        raise _wrong(place, value, "a list")
    entry = field.below.get(EACH, field)
    return [_value(item, entry, kind, f"{place}[{number}]") for number, item in enumerate(value)]


def _wrong(place: str, value: object, expected: str) -> UsageError:
    shown = json.dumps(value)
    return UsageError(place, f"{shown if len(shown) < 60 else shown[:57] + '...'} is not {expected}")
