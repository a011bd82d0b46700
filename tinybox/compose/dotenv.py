"""Files of variables, ``.env`` and those of ``env_file``: a line each, with quotes and comments as a shell has them."""

from __future__ import annotations

import re

from tinybox.compose.interpolation import interpolate
from tinybox.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_LINE = re.compile(r"\s*(?:export\s+)?(?P<name>[A-Za-z_][\w.-]*)\s*(?:(?P<equals>=)\s*(?P<value>.*?))?\s*", re.DOTALL)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\", "$": "$$"}


def read(path: str, outside: Mapping[str, str]) -> dict[str, str | None]:
    """Return the variables of the file *path*; a bare name has the value None. UsageError names the line at fault.

    ``${NAME}`` means one of *outside*, or one that the file has set before.
    """
    try:
        with open(path, encoding="utf-8") as file:
            lines = file.read().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(path, getattr(error, "strerror", None) or "is not UTF-8 text") from error
    found: dict[str, str | None] = {}
    numbered = enumerate(lines, 1)
    for number, first in numbered:
        line = first
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        while match and _is_open(match["value"] or "") and (more := next(numbered, None)):
            line = f"{line}\n{more[1]}"  # a quoted value may go on over several lines
            match = _LINE.fullmatch(line)
        if match is None:
            raise UsageError(f"{path}:{number}", "is not NAME=VALUE")
        before = {name: value for name, value in found.items() if value is not None}
        try:
            found[match["name"]] = value_of(match["value"] or "", {**before, **outside}) if match["equals"] else None
        except UsageError as error:
            raise UsageError(f"{path}:{number}", error.cause, error.cure) from error
    return found


def value_of(text: str, variables: Mapping[str, str]) -> str:
    """Return what stands after the ``=``: as it is in single quotes, with variables and escapes in double ones."""
    if text[:1] in ("'", '"'):
        inside, closed = _quoted(text)
        if not closed:
            raise UsageError("", f"the quote {text[0]} is not closed")
        if text[0] == "'":
            return inside.replace("\\'", "'")
        return interpolate(re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[0]), inside), variables)
    return interpolate(re.split(r"\s#", text, maxsplit=1)[0].strip(), variables)


def _is_open(text: str) -> bool:
    return text[:1] in ("'", '"') and not _quoted(text)[1]


def _quoted(text: str) -> tuple[str, bool]:
    at = 1
    while at < len(text) and text[at] != text[0]:
        at += 2 if text[at] == "\\" and text[0] in ('"', text[at + 1 : at + 2]) else 1
    return text[1:at], at < len(text)
