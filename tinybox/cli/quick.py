"""The fast parser of `run` and `exec`: it reads plain command lines without click, and leaves all others to click.

It reads the same tables of options as the click commands, and must give the same result for every line that it accepts;
a test compares the two on thousands of random command lines.
"""

from __future__ import annotations

from tinybox.container.config.options import BY_NAME, BY_SHORT, FLAG, LIST, MAYBE, WITHOUT
from tinybox.text_values import truth

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tinybox.container.config.options import Option

    Table = tuple[dict[str, Option], dict[str, Option]]  # by name, and by letter

RUN: Table = (BY_NAME, BY_SHORT)


def parse(arguments: list[str], table: Table = RUN) -> tuple[dict[str, Any], list[str]] | None:
    """Return (options, [image or container, command...]); *table* has the options of the command.

    None: click must decide, because of an unknown or incomplete option, or --help.
    """
    options: dict[str, Any] = {}
    at = 0
    while at < len(arguments) and arguments[at].startswith("-") and arguments[at] != "-":
        word, at = arguments[at], at + 1
        if word == "--":
            break
        read, known = (_long, table[0]) if word.startswith("--") else (_short, table[1])
        taken = read(known, word, arguments, at, options)
        if taken is None:
            return None
        at += taken
    rest = arguments[at:]
    return (options, rest) if rest else None


def _long(known: dict[str, Option], word: str, arguments: list[str], at: int, options: dict[str, Any]) -> int | None:
    """Read ``--name``, ``--name value`` or ``--name=value``; return how many of *arguments* from *at* on it used.

    None: click must decide.
    """
    name, equals, value = word[2:].partition("=")
    option = known.get(name)
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
        if at >= len(arguments):
            return None
        value = arguments[at]
    _put(options, option, value)
    return 0 if equals else 1


def _short(known: dict[str, Option], word: str, arguments: list[str], at: int, options: dict[str, Any]) -> int | None:
    """Read ``-it``, ``-m value``, ``-mvalue``, ``-m=value``, ``-itm value`` or ``-d=false``.

    Return how many of *arguments* from *at* on it used; None: click must decide.
    """
    for place, letter in enumerate(word[1:], 1):
        option = known.get(letter)
        if option is None:
            return None
        value = word[place + 1 :]
        has_equals = len(value) > 1 and value.startswith("=")
        if has_equals:
            value = value[1:]
        if option.kind == FLAG:
            said = truth(value) if has_equals else True
            if said is None:
                return None
            options[option.key] = said
            if has_equals:
                return 0
            continue
        if not value and at >= len(arguments):
            return None
        _put(options, option, value or arguments[at])
        return 0 if value else 1
    return 0


def _put(options: dict[str, Any], option: Option, value: str) -> None:
    if option.kind == LIST:
        options.setdefault(option.key, []).append(value)
    else:
        options[option.key] = value
