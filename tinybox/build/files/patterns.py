r"""Patterns of paths: .dockerignore, --exclude, and the wildcards of COPY and ADD, with the rules of docker.

A pattern is one of Go's path/filepath.Match (``*``, ``?``, ``[a-z]``, ``[^a-z]``, ``\`` before a character), and ``**``
for any number of directories. A path that matches, or that has a directory above it that matches, is left out; ``!`` in
front of a pattern takes the path in again. The last pattern that matches decides.
"""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING

from tinybox.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    Flags = tuple[bool, ...]  # for each pattern whether it fits a path, or a directory above it

WILD = "*?["
STAR, ANY = "[^/]*", "[^/]"  # the regular expressions of * and ?
_ENDS = frozenset({STAR, "/", ".*", "(?:.*/)?"})
_BLANKS = " \t\n\v\f\r\x85\xa0"  # what docker removes at both ends of a line


class Patterns:
    """The patterns of one .dockerignore, or of several --exclude; *thing* names them in errors."""

    def __init__(self, lines: Iterable[str] = (), thing: str = "") -> None:
        self.thing = thing
        self._rules: list[tuple[re.Pattern[str], bool, str]] = []  # the pattern, whether it takes in, and its text
        for line in lines:
            takes_in = line.startswith("!")
            text = line.removeprefix("!").strip(_BLANKS) if takes_in else line.strip(_BLANKS)
            if takes_in and not text:
                raise UsageError(f"{thing}: pattern '!'", "it has nothing behind the !", "correct it")
            clean = cleaned(text)
            if clean:
                self._rules.append((compiled(clean, thing), takes_in, clean))

    def __bool__(self) -> bool:
        return bool(self._rules)

    def below(self, above: Flags, path: str) -> tuple[bool, Flags]:
        """Return whether *path* is left out, and its flags; *above* are the flags of its directory, () at the top."""
        if not above:
            above = (False,) * len(self._rules)
        flags = tuple(flag or bool(rule[0].fullmatch(path)) for flag, rule in zip(above, self._rules, strict=True))
        out = False
        for flag, (_, takes_in, _) in zip(flags, self._rules, strict=True):
            out = not takes_in if flag else out
        return out, flags

    def leave_out(self, path: str) -> bool:
        """Return whether *path*, relative to the context and without ``./``, is left out."""
        return self.followed(path)[0]

    def followed(self, path: str) -> tuple[bool, Flags]:
        """Return the same as `below` for a *path* whose directories have not been asked about."""
        out = False
        flags: Flags = ()
        parts = path.split("/")
        for count in range(1, len(parts) + 1):
            out, flags = self.below(flags, "/".join(parts[:count]))
        return out, flags

    def may_take_in_below(self, directory: str) -> bool:
        """Return whether a pattern with ``!`` may fit a path below *directory*: then the directory must be walked."""
        return any(takes_in and _may_fit_below(text, directory) for _, takes_in, text in self._rules)

    def may_fit_below(self, directory: str) -> bool:
        """Return whether a pattern may fit a path below *directory*."""
        return any(_may_fit_below(text, directory) for _, _, text in self._rules)


def read(content: bytes, thing: str) -> Patterns:
    """Return the patterns of a .dockerignore file; a line that begins with ``#`` is a comment."""
    lines = content.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape").split("\n")
    stripped = (line.strip(_BLANKS) for line in lines if not line.startswith("#"))
    return Patterns([line for line in stripped if line], thing)


def compiled(pattern: str, thing: str) -> re.Pattern[str]:
    """Return *pattern* as a regular expression for fullmatch; UsageError: it is wrong, as ``[`` without an end is."""
    pieces, at = list[str](), 0
    try:
        while at < len(pattern):
            piece, at = _piece(pattern, at)
            pieces.append(piece)
        return re.compile("".join(_without_retries(pieces)), re.DOTALL)
    except (ValueError, re.error) as error:
        raise UsageError(f"{thing}: pattern {pattern!r}", str(error), "correct it") from error


def has_wildcard(text: str) -> bool:
    """Return whether *text* has a character with a meaning in patterns, which no backslash precedes."""
    return any(letter in WILD for letter in re.sub(r"\\.", "", text, flags=re.DOTALL))


def literal(text: str) -> str:
    """Return the name that *text*, a pattern without wildcards, fits: without its backslashes."""
    return re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL)


def cleaned(text: str) -> str:
    """Return *text* as docker cleans it: relative to the context, without ``.``, ``..`` inside and doubled slashes.

    It is "" for the context itself.
    """
    clean = posixpath.normpath(text).lstrip("/") if text else ""
    return "" if clean == "." else clean


def _piece(pattern: str, at: int) -> tuple[str, int]:
    """Return the next part of *pattern*, which begins at *at*, as a regular expression, and where it ends."""
    if pattern.startswith("**", at):
        return _directories(pattern, at)
    letter, at = pattern[at], at + 1
    if letter in "*?":
        return STAR if letter == "*" else ANY, at
    if letter == "[":
        return _class(pattern, at)
    if letter == "\\":
        if at == len(pattern):
            raise ValueError("it ends with a backslash")
        return re.escape(pattern[at]), at + 1
    return re.escape(letter), at


def _without_retries(pieces: list[str]) -> Iterator[str]:
    """Yield the *pieces* so that matching takes no time for all the ways to share a name among several ``*``.

    If another ``*`` follows in the same name, it is enough that the pieces between them fit at the first place where
    they can: an atomic group, which is not tried again.
    """
    at = 0
    while at < len(pieces):
        end = at + 1
        while end < len(pieces) and pieces[end] not in _ENDS and (pieces[end] == ANY or pieces[end][:2] != "[^"):
            end += 1
        if pieces[at] == STAR and end < len(pieces) and pieces[end] == STAR:
            yield f"(?>[^/]*?{''.join(pieces[at + 1 : end])})"
            at = end
        else:
            yield pieces[at]
            at += 1


def _directories(pattern: str, at: int) -> tuple[str, int]:
    """Return the meaning of ``**``: at the end anything, in front of a name any directories.

    At the beginning, without a slash and before plain text, it fits any beginning of the path, as for docker.
    """
    end = at + 2
    if at == 0 and end < len(pattern) and pattern[end] != "/" and not any(c in "*?[]\\" for c in pattern[end:]):
        return ".*", end
    end += pattern.startswith("/", end)
    return (".*" if end == len(pattern) else "(?:.*/)?"), end


def _class(pattern: str, at: int) -> tuple[str, int]:
    """Return a class such as ``[a-z]``, whose content begins at *at*, as a regular expression, and where it ends."""
    negated = pattern.startswith("^", at)
    at += negated
    items: list[str] = []
    while not pattern.startswith("]", at) or not items:
        first, at = _class_letter(pattern, at)
        last = first
        if pattern.startswith("-", at):
            last, at = _class_letter(pattern, at + 1)
        if last < first:
            raise ValueError(f"the range {first}-{last} is reversed")
        items.append(re.escape(first) if first == last else f"{re.escape(first)}-{re.escape(last)}")
    return f"[{'^' if negated else ''}{''.join(items)}]", at + 1


def _class_letter(pattern: str, at: int) -> tuple[str, int]:
    if at >= len(pattern):
        raise ValueError("a [ is not closed")
    if pattern[at] in "-]":
        raise ValueError(f"a {pattern[at]} in [ ] needs a backslash")
    at += pattern[at] == "\\"
    if at >= len(pattern):
        raise ValueError("a [ is not closed")
    return pattern[at], at + 1


def _may_fit_below(text: str, directory: str) -> bool:
    """Return whether the pattern *text* may fit a path below *directory*, by the part of it before any wildcard."""
    start = re.split(r"[*?\[\\]", text, maxsplit=1)[0]
    return f"{directory}/".startswith(start) or start.startswith(f"{directory}/")
