"""The ways in which docker lets options be written, as click reads them: -e=A=b, -m=64m, -d=false, --force=false, -itd.

docker reads its command line with the library pflag. click has neither ``=`` after a letter nor a value of a flag. So
each option is rewritten before click reads it, in one form: ``--name`` or ``--name=VALUE``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tinybox.text_values import truth

if TYPE_CHECKING:
    from collections.abc import Iterator

    Words = list[tuple[click.Option | None, str]]  # the option that a word belongs to, and the word as click reads it


class MaybeOption(click.Option):
    """An option with or without a value, which follows ``=`` only; *without* is the value of the bare option."""

    without = ""


def plain(command: click.Command, arguments: list[str]) -> list[str]:
    """Return *arguments* of *command* in click's form; what *command* does not know stays for click's error message.

    A flag that is false removes the same flag before it: the last one counts.
    """
    settings = command.context_settings
    if settings.get("ignore_unknown_options", command.ignore_unknown_options):
        return arguments
    options = {name: each for each in command.params if isinstance(each, click.Option) for name in each.opts}
    mixed = settings.get("allow_interspersed_args", command.allow_interspersed_args)
    words: Words = []
    at = 0
    while at < len(arguments) and arguments[at] != "--":
        word, at = arguments[at], at + 1
        if not word.startswith("-") or word == "-":
            if not mixed:
                at -= 1
                break
            words.append((None, word))
            continue
        read = _long if word.startswith("--") else _short
        found = list(read(options, word, arguments[at : at + 1]))
        for option, text, _ in found:
            _put(words, option, text)
        at += any(took for _, _, took in found)
    return [word for _, word in words] + arguments[at:]


def _put(words: Words, option: click.Option | None, text: str) -> None:
    if option is not None and not text:
        words[:] = [each for each in words if each[0] is not option]
    else:
        words.append((option, text))


Found = tuple[click.Option | None, str, bool]  # the option, its word for click, whether it took the next argument


def _long(options: dict[str, click.Option], word: str, following: list[str]) -> Iterator[Found]:
    """Read ``--name``, ``--name VALUE`` or ``--name=VALUE``."""
    name, equals, value = word.partition("=")
    option = options.get(name)
    if option is None or option.nargs != 1:
        yield None, word, False
    elif is_switch(option):
        yield _switch(option, word, value if equals else "true")
    elif isinstance(option, MaybeOption):
        yield option, f"{name}={value if equals else option.without}", False
    elif equals or not following:
        yield option, word, False
    else:
        yield option, f"{name}={following[0]}", True


def _short(options: dict[str, click.Option], word: str, following: list[str]) -> Iterator[Found]:
    """Read ``-it``, ``-m VALUE``, ``-mVALUE``, ``-m=VALUE``, ``-itm VALUE`` or ``-d=false``."""
    for place, letter in enumerate(word[1:], 1):
        option, rest = options.get(f"-{letter}"), word[place + 1 :]
        value = rest[1:] if len(rest) > 1 and rest.startswith("=") else rest
        if option is None or option.nargs != 1:
            yield None, word if place == 1 else f"-{word[place:]}", False
            return
        if is_switch(option):
            has_value = value != rest
            yield _switch(option, f"-{word[place:]}", value if has_value else "true")
            if has_value:
                return
            continue
        name = max(option.opts, key=len)
        joint = "=" if name.startswith("--") else ""
        if not value and not following:
            yield option, f"-{letter}", False
        else:
            yield option, f"{name}{joint}{value or following[0]}", not value
        return


def is_switch(option: click.Option) -> bool:
    """Tell whether *option* is one that docker writes without a value, or with ``=true`` and ``=false``."""
    return bool(option.is_flag and option.is_bool_flag) or isinstance(option.type, click.types.BoolParamType)


def _switch(option: click.Option, word: str, value: str) -> Found:
    """Return the form of a flag for click: ``--name``, ``--no-name`` if there is one, or no word if it is false."""
    said, name = truth(value), max(option.opts, key=len)
    if said is None:
        return None, word, False
    if not option.is_flag:
        return option, f"{name}={str(said).lower()}", False
    if said:
        return option, name, False
    return option, option.secondary_opts[0] if option.secondary_opts else "", False
