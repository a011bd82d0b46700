"""The click commands `run` and `create`, made from the table of options: help, errors and completion."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from tinybox.cli import completion
from tinybox.cli import run as command_line
from tinybox.container.config.options import ALIASES, BY_NAME, BY_SHORT, FLAG, LIST, MAYBE, OPTIONS, WITHOUT, Option
from tinybox.text_values import truth

if TYPE_CHECKING:
    from collections.abc import Callable

GROUPS = {option.group: option.group.title() for option in OPTIONS}  # each with its title, in the table's order


class RunCommand(click.Command):
    """A command whose help lists the options by group, and whose flags accept ``=false``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse *args* with click, after replacing ``--rm=false`` by ``--no-rm``."""
        return super().parse_args(ctx, plain_flags(args))

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the options group by group."""
        records = {param.name: param.get_help_record(ctx) for param in self.get_params(ctx)}
        for group, title in GROUPS.items():
            rows = [records[option.key] for option in OPTIONS if option.group == group]
            with formatter.section(title):
                formatter.write_dl([row for row in rows if row])


def plain_flags(arguments: list[str]) -> list[str]:
    """Return *arguments* with ``--rm=false`` written as ``--no-rm``, and ``--rm=true`` as ``--rm``, up to the image."""
    plain: list[str] = []
    at = 0
    while at < len(arguments) and arguments[at].startswith("-") and arguments[at] not in ("-", "--"):
        step = 1 + _takes_next(arguments[at])
        plain += [_plain_flag(arguments[at]), *arguments[at + 1 : at + step]]
        at += step
    return plain + arguments[at:]


def _plain_flag(word: str) -> str:
    name, equals, value = word.partition("=")
    option = BY_NAME.get(name.removeprefix("--"))
    if option is not None and option.kind == MAYBE:
        return word if equals else f"{name}={WITHOUT[option.name]}"
    if not equals or option is None or option.kind != FLAG:
        return word
    return {True: name, False: f"--no-{option.name}", None: word}[truth(value)]


def _takes_next(word: str) -> bool:
    """Return whether the value of the option *word* is the next argument."""
    if word.startswith("--"):
        option = BY_NAME.get(word[2:])
        return option is not None and option.kind not in (FLAG, MAYBE)
    for place, letter in enumerate(word[1:], 1):
        if letter in BY_SHORT and BY_SHORT[letter].kind != FLAG:
            return place == len(word) - 1
    return False


def declared(option: Option) -> click.Option:
    """Return the click option for one row of the table."""
    names = [f"--{option.name}", *[f"--{alias}" for alias, name in ALIASES.items() if name == option.name]]
    names += [f"-{option.short}"] * bool(option.short)
    if option.kind == FLAG:
        return Flag([f"--{option.name}/--no-{option.name}", *names[1:], option.key], help=option.help, default=None)
    offer = getattr(completion, option.offer) if option.offer else None
    several = option.kind == LIST
    return click.Option([*names, option.key], metavar=option.metavar, help=option.help, multiple=several,
                        shell_complete=offer)  # fmt: skip


class Flag(click.Option):
    """A flag whose help does not show the ``--no-`` form, which docker writes as ``=false``."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:  # noqa: ARG002  click's signature
        """Return the names and the help, without the secondary names."""
        return ", ".join(sorted(self.opts, key=len)), self.help or ""


def table_command(name: str, act: Callable[[str, list[str], dict[str, Any]], int], text: str) -> RunCommand:
    """Return a click command with the options of the table; it calls *act* with image, command and options."""

    def execute(image: str, command: tuple[str, ...], **options: Any) -> int:
        given = {key: list(value) if isinstance(value, tuple) else value for key, value in options.items()}
        return act(image, list(command), {key: value for key, value in given.items() if value not in (None, [])})

    return RunCommand(
        name,
        callback=execute,
        params=[
            *(declared(option) for option in OPTIONS),
            click.Argument(["image"], shell_complete=completion.images),
            click.Argument(["command"], nargs=-1, type=click.UNPROCESSED),
        ],
        help=text,
        context_settings={"allow_interspersed_args": False},
    )


run = table_command(
    "run",
    command_line.execute,
    "Run COMMAND in a new container of IMAGE. Options end at IMAGE. Names of options and exit status are docker's.",
)
