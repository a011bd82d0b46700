r"""Patterns of paths: .dockerignore, --exclude, and the wildcards of COPY and ADD, with the rules of docker.

A pattern is one of Go's path/filepath.Match (``*``, ``?``, ``[a-z]``, ``\`` before a letter), and ``**`` for any
number of directories. A path that matches, or that has a directory above it that matches, is left out; ``!`` in front
of a pattern takes the path in again. The last pattern that matches decides.
"""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING

from tinybox.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

WILD = {"**/": "(?:[^/]+/)*", "**": ".*", "*": "[^/]*", "?": "[^/]"}  # the longest first


class Patterns:
    """The patterns of one .dockerignore, or of several --exclude; *thing* names them in errors."""

    def __init__(self, lines: Iterable[str], thing: str) -> None:
        self._rules: list[tuple[re.Pattern[str], bool, str]] = []  # the pattern, whether it takes in, and its text
        for line in lines:
            takes_in = line.startswith("!")
            text = _cleaned(line.removeprefix("!").strip() if takes_in else line.strip())
            if text:
                self._rules.append((compiled(text, thing), takes_in, text))

    def leave_out(self, path: str) -> bool:
        """Return whether *path*, relative to the context and without ``./``, is left out."""
        out = False
        parents = path.split("/")
        above = ["/".join(parents[:count]) for count in range(1, len(parents) + 1)]
        for pattern, takes_in, _ in self._rules:
            if takes_in == out and any(map(pattern.fullmatch, above)):
                out = not takes_in
        return out

    def may_take_in_below(self, directory: str) -> bool:
        """Return whether a pattern with ``!`` may fit a path below *directory*: then the directory must be walked."""
        for _, takes_in, text in self._rules:
            if takes_in:
                literal = re.split(r"[*?\[\\]", text, maxsplit=1)[0]
                if f"{directory}/".startswith(literal) or literal.startswith(f"{directory}/"):
                    return True
        return False


def read(content: bytes, thing: str) -> Patterns:
    """Return the patterns of a .dockerignore file; a line that begins with ``#`` is a comment."""
    lines = content.decode("utf-8-sig", "surrogateescape").splitlines()
    return Patterns([line for line in lines if not line.startswith("#")], thing)


def compiled(pattern: str, thing: str) -> re.Pattern[str]:
    """Return *pattern* as a regular expression for fullmatch; UsageError: it is wrong, as ``[`` without an end is."""
    found, at = "", 0
    try:
        while at < len(pattern):
            piece, at = _piece(pattern, at)
            found += piece
        return re.compile(found, re.DOTALL)
    except (ValueError, re.error) as error:
        raise UsageError(f"{thing}: pattern {pattern!r}", str(error), "correct it") from error


def _piece(pattern: str, at: int) -> tuple[str, int]:
    """Return the next part of *pattern*, which begins at *at*, as a regular expression, and where it ends."""
    for wild, expression in WILD.items():
        if pattern.startswith(wild, at):
            return expression, at + len(wild)
    letter, at = pattern[at], at + 1
    if letter == "[":
        end = _class_end(pattern, at)
        if end < 0:
            raise ValueError("a [ is not closed")
        return _class(pattern[at:end]), end + 1
    if letter == "\\":
        if at == len(pattern):
            raise ValueError("it ends with a backslash")
        return re.escape(pattern[at]), at + 1
    return re.escape(letter), at


def has_wildcard(text: str) -> bool:
    """Return whether *text* has a letter with a meaning in patterns."""
    return any(letter in text for letter in "*?[\\")


def _cleaned(text: str) -> str:
    """Return *text* as docker cleans it: relative to the context, without ``.``, ``..`` and doubled slashes."""
    if not text:
        return ""
    clean = posixpath.normpath(text).lstrip("/")
    return "" if clean in {".", ".."} else clean


def _class_end(pattern: str, start: int) -> int:
    at = start + (pattern[start : start + 1] in {"^", "!"})
    at += pattern[at : at + 1] == "]"
    while at < len(pattern) and pattern[at] != "]":
        at += 1 + (pattern[at] == "\\")
    return at if at < len(pattern) else -1


def _class(text: str) -> str:
    negated = text[:1] in {"^", "!"}
    inside = re.sub(r"([\[\]^&~|])", r"\\\1", text[1:] if negated else text)
    return f"(?!/)[{'^' if negated else ''}{inside}]"
