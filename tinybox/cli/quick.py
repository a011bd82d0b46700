"""The short way from argv to options: what is written plainly is read here; whatever is not is click's to judge.

It reads the same table as the click command and must agree with it on every line that it accepts; a test compares the
two on thousands of random command lines.
"""

from __future__ import annotations

from tinybox.container.config.options import BY_NAME, BY_SHORT, FLAG, LIST, MAYBE, WITHOUT
from tinybox.text_values import truth

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tinybox.container.config.options import Option


def parse(words: list[str]) -> tuple[dict[str, Any], list[str]] | None:
    """Return (options, [image, command...]); None when a word is not plain: unknown, incomplete, or asking for help."""
    options: dict[str, Any] = {}
    at = 0
    while at < len(words) and words[at].startswith("-") and words[at] != "-":
        word, at = words[at], at + 1
        if word == "--":
            break
        taken = _long(word, words, at, options) if word.startswith("--") else _short(word, words, at, options)
        if taken is None:
            return None
        at += taken
    rest = words[at:]
    return (options, rest) if rest else None


def _long(word: str, words: list[str], at: int, options: dict[str, Any]) -> int | None:
    """Read ``--name``, ``--name value`` or ``--name=value``; return how many more words it took."""
    name, equals, value = word[2:].partition("=")
    option = BY_NAME.get(name)
    if option is None:
        return None
    if option.kind == FLAG:
        said = truth(value) if equals else True
        if said is None:
            return None
        options[option.key] = said
        return 0
    if option.kind == MAYBE:
        options[option.key] = value if equals else WITHOUT[option.name]
        return 0
    if not equals:
        if at >= len(words):
            return None
        value = words[at]
    _put(options, option, value)
    return 0 if equals else 1


def _short(word: str, words: list[str], at: int, options: dict[str, Any]) -> int | None:
    """Read ``-it``, ``-m value``, ``-mvalue`` or ``-itm value``; return how many more words it took."""
    for place, letter in enumerate(word[1:], 1):
        option = BY_SHORT.get(letter)
        if option is None:
            return None
        if option.kind == FLAG:
            if word[place + 1 : place + 2] == "=":
                return None
            options[option.key] = True
            continue
        value = word[place + 1 :]
        if not value and at >= len(words):
            return None
        _put(options, option, value or words[at])
        return 0 if value else 1
    return 0


def _put(options: dict[str, Any], option: Option, value: str) -> None:
    if option.kind == LIST:
        options.setdefault(option.key, []).append(value)
    else:
        options[option.key] = value
