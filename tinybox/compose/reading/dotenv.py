"""Read files of variables, ``.env`` and ``env_file``: lines of NAME=VALUE, with quotes and comments as in a shell."""

from __future__ import annotations

import re

from tinybox.compose.reading.interpolation import interpolate
from tinybox.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

LARGEST = 8 << 20  # characters of a file; execve(2) takes 6 MiB at most of all variables and arguments
QUOTES = ("'", '"')
_LINE = re.compile(r"\s*(?:export\s+)?(?P<name>[A-Za-z_][\w.-]*)\s*(?:(?P<equals>=)(?P<value>.*))?", re.DOTALL)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\", "$": "$$"}


def read(path: str, outside: Mapping[str, str]) -> dict[str, str | None]:
    """Return the variables of the file *path*; a bare name has the value None. UsageError names the line at fault.

    ``${NAME}`` is a variable of *outside*, or one that an earlier line of the file has set.
    """
    found: dict[str, str | None] = {}
    known = dict(outside)
    numbered = enumerate(_lines(path), 1)
    for number, line in numbered:
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise UsageError(f"{path}:{number}", "is not NAME=VALUE")
        name, text = match["name"], (match["value"] or "").lstrip()
        if text[:1] in QUOTES:
            text = _whole(text, numbered)
        try:
            value = value_of(text, known) if match["equals"] else None
        except UsageError as error:
            raise UsageError(f"{path}:{number}", error.cause, error.cure) from error
        found[name] = value
        if name not in outside:
            known.pop(name, None)
            known |= {} if value is None else {name: value}
    return found


def read_raw(path: str) -> dict[str, str | None]:
    """Return the variables of the file *path* with their values unchanged: quotes and dollars are part of them."""
    found: dict[str, str | None] = {}
    for number, line in enumerate(_lines(path), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            name, equals, value = line.partition("=")
            if not name.strip():
                raise UsageError(f"{path}:{number}", "is not NAME=VALUE")
            found[name.strip()] = value if equals else None
    return found


def _lines(path: str) -> list[str]:
    """Return the lines of the file *path*, without a byte order mark; editors of Windows write one, and CR LF."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            text = file.read(LARGEST + 1)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(path, getattr(error, "strerror", None) or "is not UTF-8 text") from error
    if len(text) > LARGEST:
        raise UsageError(path, f"is larger than {LARGEST >> 20} MiB", "no program can receive so many variables")
    return text.replace("\r\n", "\n").removesuffix("\n").split("\n")


def _whole(first: str, numbered: Iterator[tuple[int, str]]) -> str:
    """Return a quoted value with all lines that it spans; each line is read once."""
    parts, quote = [first], first[0]
    at = _closing(first, 1, quote)
    while at >= len(parts[-1]) and (more := next(numbered, None)):
        at = _closing(f"\n{more[1]}", at - len(parts[-1]), quote)  # a backslash at the end escapes the newline
        parts.append(f"\n{more[1]}")
    return "".join(parts)


def value_of(text: str, variables: Mapping[str, str]) -> str:
    """Return the value of the *text* after ``=``: unchanged in single quotes, with variables and escapes in double."""
    if text[:1] in QUOTES:
        inside, closed = _quoted(text)
        if not closed:
            raise UsageError("", f"the quote {text[0]} is not closed")
        if text[0] == "'":
            return inside.replace("\\'", "'")
        return interpolate(re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[0]), inside), variables)
    return interpolate(re.split(r"\s#", text, maxsplit=1)[0].strip(), variables)


def _quoted(text: str) -> tuple[str, bool]:
    at = _closing(text, 1, text[0])
    return text[1:at], at < len(text)


def _closing(text: str, at: int, quote: str) -> int:
    """Return the index of the closing *quote* in *text*, from *at* on; len(text) or more if there is none."""
    while at < len(text) and text[at] != quote:
        at += 2 if text[at] == "\\" and quote in ('"', text[at + 1 : at + 2]) else 1
    return at
