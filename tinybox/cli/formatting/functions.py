"""The functions that a --format template can call (Go's and docker's), and how a template prints a value."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tinybox.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

SHOWN = 200  # characters of a value in an error
WIDEST = 1_000_000  # Go's limit for a width or a precision
LONGEST = 1 << 20  # characters of a function's arguments: each function may make several times as many of them
_DIGITS = 7  # of WIDEST
_WIDTHS = re.compile(r"%(?:%|[-+# 0]*([0-9]*)(?:\.([0-9]*))?)")  # the width and the precision of each verb


# Fields of docker's whose keys users choose: a missing key is no error there.
MAPS = frozenset(
    "Annotations Attributes AuxiliaryAddresses Data DriverOpts ExposedPorts IndexConfigs Labels Networks Options "
    "PortBindings Ports Runtimes StorageOpt Sysctls Tmpfs Volumes".split()
)
# Fields of docker's that are lists: without a value Go prints them as empty ones, and JSON has null.
LISTS = frozenset(
    "Aliases Args Binds BlkioDeviceReadBps BlkioDeviceReadIOps BlkioDeviceWriteBps BlkioDeviceWriteIOps "
    "BlkioWeightDevice CapAdd CapDrop CDISpecDirs Cmd Config DeviceCgroupRules DeviceRequests Devices Dns DnsOptions "
    "DnsSearch DNSNames Entrypoint Env ExecIDs ExtraHosts GroupAdd Links MaskedPaths Mounts OnBuild ReadonlyPaths "
    "RemoteManagers SecondaryIPAddresses SecondaryIPv6Addresses SecurityOpt Shell Ulimits VolumesFrom Warnings".split()
)


class Nothing:
    """The value of a key that a map does not have: printed as ``<no value>``, and so is every field of it."""

    def __bool__(self) -> bool:
        return False


NOTHING = Nothing()


def wrong(cause: str) -> UsageError:
    """Return a UsageError about the template, for the caller to raise."""
    return UsageError("template", cause)


def shown(value: Any) -> str:
    """Return *value* as Go prints it: ``true``, ``[a b]``, ``map[key:value]``, ``<no value>``."""
    if value is None or value is NOTHING:
        return "<no value>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return f"map[{' '.join(f'{key}:{_within(value[key])}' for key in sorted(value))}]"
    if isinstance(value, list | tuple):
        return f"[{' '.join(map(shown, value))}]"
    return str(value)


def _within(value: Any) -> str:
    """Return a value of a map as Go prints it: an object without fields, as in ExposedPorts, is ``{}``."""
    return "{}" if value == {} else shown(value)


def null(name: str) -> str:
    """Return what Go prints for the field *name* if JSON has null there: an empty list or map, or no pointer."""
    return "map[]" if name in MAPS else "[]" if name in LISTS else "<nil>"


def field(value: Any, name: str, owner: str = "") -> Any:
    """Return the field *name* of *value*, which is the field *owner*; in capitals or not, as Go's and docker's differ.

    NOTHING: *owner* is a map, whose keys users choose. UsageError lists the fields that there are.
    """
    if value is NOTHING:
        return NOTHING
    if not isinstance(value, Mapping):
        kind = "nothing" if value is None else "a list" if isinstance(value, list | tuple) else repr(value)
        raise wrong(f"no field .{name}: {kind} has no fields")
    try:
        return value[name]
    except KeyError as error:
        if owner in MAPS:
            return NOTHING
        for key in value:
            if key.lower() == name.lower():
                return value[key]
        raise wrong(f"no field .{name}; there are: {', '.join(f'.{key}' for key in value)}") from error


def as_json(value: Any) -> str:
    """Return *value* as JSON in one line, without fields that are functions, such as ``.Label "x"``.

    A byte that is not UTF-8 stays escaped.
    """
    return json.dumps(_without_functions(value), default=_without_functions, separators=(",", ":"))


def _without_functions(value: Any) -> Any:
    if value is NOTHING:
        return None
    if not isinstance(value, Mapping):
        return value
    return {key: each for key, each in value.items() if not callable(each)}


def printed(*values: Any) -> str:
    """Return *values* as Go's print does: with a space between two of them if neither is a text."""
    text = ""
    for at, value in enumerate(values):
        is_apart = at and not isinstance(value, str) and not isinstance(values[at - 1], str)
        text += " " * bool(is_apart) + shown(value)
    return text


def _escaped(text: str) -> str:
    return re.sub(
        "[<>&\"']", lambda match: {"<": "&lt;", ">": "&gt;", "&": "&amp;"}.get(match[0], f"&#{ord(match[0])};"), text
    )


def _quoted(text: str) -> str:
    from urllib.parse import quote_plus

    return quote_plus(text, errors="surrogateescape")


def index(value: Any, *places: Any) -> Any:
    """Return the item at *places* of nested maps and lists; a missing key of a map gives "", as in Go."""
    for place in places:
        if isinstance(value, Mapping):
            value = value.get(place, "")
        elif isinstance(value, list | tuple | str) and isinstance(place, int) and 0 <= place < len(value):
            value = value[place]
        else:
            raise wrong(f"index {shown(place)[:SHOWN]} is not in {shown(value)[:SHOWN]}")
    return value


def formatted(form: str, *values: Any) -> str:
    """Return *values* put into *form*, for %s %v %d %q %x %f and their widths (together at most WIDEST); printf(3)."""
    arguments = tuple(value if type(value) in (int, float) else shown(value) for value in values)
    numbers = [number for pair in _WIDTHS.findall(form) for number in pair if number]
    numbers += [str(abs(value)) for value in values if "*" in form and type(value) is int]
    if any(len(number) > _DIGITS for number in numbers) or sum(map(int, numbers)) > WIDEST:
        raise wrong(f"printf: a width or precision is larger than {WIDEST}")
    try:
        text = form.replace("%v", "%s").replace("%q", '"%s"') % arguments
        text.encode("utf-8", "surrogateescape")  # %c makes half of a surrogate pair, which is not a character
    except (TypeError, ValueError, OverflowError) as error:
        raise wrong(f"printf {str(form)[:SHOWN]!r}: {error}") from error
    return text


def padded(text: str, before: int, after: int) -> str:
    """Return *text* with spaces before and after it, at most WIDEST."""
    if max(before, after) > WIDEST:
        raise wrong(f"pad: more than {WIDEST} spaces")
    return f"{' ' * before}{text}{' ' * after}" if text else text


def joined(items: Any, separator: str) -> str:
    """Return the *items* as one text, with *separator* between them."""
    texts = [shown(item) for item in items]
    if len(texts) * len(separator) > LONGEST:
        raise wrong(f"join: the text is longer than {LONGEST} characters")
    return separator.join(texts)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "json": as_json,
    "upper": lambda text: shown(text).upper(),
    "lower": lambda text: shown(text).lower(),
    "title": lambda text: shown(text).title(),
    "join": joined,
    "split": lambda text, separator: text.split(separator),
    "truncate": lambda text, length: text[:length],
    "pad": padded,
    "len": lambda value: 0 if value is None else len(value),
    "index": index,
    "slice": lambda value, first=0, last=None: value[first:last],
    "print": printed,
    "println": lambda *values: " ".join(map(shown, values)) + "\n",
    "printf": formatted,
    "html": lambda *values: _escaped(printed(*values)),
    "urlquery": lambda *values: _quoted(printed(*values)),
    "not": lambda value: not value,
    "and": lambda *values: next((value for value in values if not value), values[-1]),
    "or": lambda *values: next((value for value in values if value), values[-1]),
    "eq": lambda value, *others: value in others,
    "ne": lambda value, other: value != other,
    "lt": lambda value, other: value < other,
    "le": lambda value, other: value <= other,
    "gt": lambda value, other: value > other,
    "ge": lambda value, other: value >= other,
}


def known(name: str) -> str:
    """Return *name*; UsageError if no function is called so."""
    if name not in FUNCTIONS:
        raise wrong(f"no function {name}; there are: {', '.join(sorted(FUNCTIONS))}")
    return name


def call(name: str, *values: Any) -> Any:
    """Call the function *name*; UsageError names the function and the values that it cannot take."""
    if sum(len(value) for value in values if isinstance(value, str | list)) > LONGEST:
        raise wrong(f"{name}: its arguments are longer than {LONGEST} characters")
    try:
        return FUNCTIONS[name](*values)
    except (TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
        given = ", ".join(shown(value)[:SHOWN] for value in values) or "nothing"
        raise wrong(f"{name} cannot be applied to {given}") from error
