"""Split a template of --format into text and actions (``{{...}}``), and an action into words, in linear time."""

from __future__ import annotations

import re

from tinybox.cli.formatting.functions import wrong

# The parts of an action. Behind a text that is not closed nothing is searched: so the time grows with its length only.
_PIECE = re.compile(r"\"(?:\\.|[^\"\\])*\"|`[^`]*`|\}\}|[^\"`}]+|\}", re.DOTALL)
_COMMENT = re.compile(r"(?:-\s)?\s*/\*")
_TOKEN = re.compile(
    r"\s*(?P<word>\"(?:\\.|[^\"\\])*\"|`[^`]*`|:?=|[|(),]|-?\d{1,18}(?:\.\d{1,18})?|\$\w*(?:\.\w+)*|(?:\.\w+)+|\.|\w+)"
)
WORDS_MOST = 1000  # of one action


def split(text: str) -> list[tuple[str, bool]]:
    """Split *text* into pairs (piece, is it an action); ``{{-`` and ``-}}`` remove the blanks beside them."""
    pieces: list[tuple[str, bool]] = []
    at, trim = 0, False
    while (start := text.find("{{", at)) >= 0:
        end = _end(text, start + 2)
        action, plain = text[start + 2 : end - 2], text[at:start]
        plain = plain.lstrip() if trim else plain
        if action[:1] == "-" and action[1:2].isspace():
            plain, action = plain.rstrip(), action[1:]
        trim = action[-1:] == "-" and action[-2:-1].isspace()
        pieces += [(plain, False), (action[: -1 if trim else None].strip(), True)]
        at = end
    rest = text[at:]
    return [*pieces, (rest.lstrip() if trim else rest, False)]


def _end(text: str, at: int) -> int:
    """Return the end of the action that begins at *at*, behind its ``}}``; quoted text does not end it."""
    if comment := _COMMENT.match(text, at):
        at = text.find("*/", comment.end())
    while at >= 0 and (match := _PIECE.match(text, at)):
        if match[0] == "}}":
            return match.end()
        at = match.end()
    raise wrong("an action is not closed: }} is missing, or the end of a quoted text")


def words(text: str) -> list[str]:
    """Return the words of an action: names, numbers, quoted texts, brackets; UsageError: there is something else."""
    found, at = [], 0
    text = text.rstrip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise wrong(f"{text[at:].strip()!r} cannot be read")
        found.append(match["word"])
        at = match.end()
        if len(found) > WORDS_MOST:
            raise wrong(f"an action has more than {WORDS_MOST} words")
    return found
