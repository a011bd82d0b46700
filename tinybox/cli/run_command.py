"""The click commands `run` and `create`, made from the table of options: help, errors and completion."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from tinybox.cli import completion
from tinybox.cli.written_options import MaybeOption, plain
from tinybox.container.config.options import ALIASES, FLAG, LIST, MAYBE, OPTIONS, WITHOUT, Option

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

GROUPS = {option.group: option.group.title() for option in OPTIONS}  # each with its title, in the table's order


class RunCommand(click.Command):
    """A command whose help lists the options by group; it reads docker's ways of writing options in any context."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse *args* with click, after `plain` has rewritten them."""
        return super().parse_args(ctx, plain(self, args))

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the options group by group."""
        records = {param.name: param.get_help_record(ctx) for param in self.get_params(ctx)}
        for group, title in GROUPS.items():
            rows = [records.get(option.key) for option in OPTIONS if option.group == group]
            with formatter.section(title):
                formatter.write_dl([row for row in rows if row])


def declared(option: Option) -> click.Option:
    """Return the click option for one row of the table."""
    names = [f"--{option.name}", *[f"--{alias}" for alias, name in ALIASES.items() if name == option.name]]
    names += [f"-{option.short}"] * bool(option.short)
    if option.kind == FLAG:
        return Flag([f"--{option.name}/--no-{option.name}", *names[1:], option.key], help=option.help, default=None)
    offer = getattr(completion, option.offer) if option.offer else None
    several = option.kind == LIST
    kind = MaybeOption if option.kind == MAYBE else click.Option
    made = kind([*names, option.key], metavar=option.metavar, help=option.help, multiple=several, shell_complete=offer)
    if isinstance(made, MaybeOption):
        made.without = WITHOUT[option.name]
    return made


class Flag(click.Option):
    """A flag whose help does not show the ``--no-`` form, which docker writes as ``=false``."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:  # noqa: ARG002  click's signature
        """Return the names and the help, without the secondary names."""
        return ", ".join(sorted(self.opts, key=len)), self.help or ""


def table_command(
    name: str, act: Callable[[str, list[str], dict[str, Any]], int], text: str, without: Collection[str] = ()
) -> RunCommand:
    """Return a click command with the options of the table; it calls *act* with image, command and options.

    It lacks the options named in *without*.
    """

    def execute(image: str, command: tuple[str, ...], **options: Any) -> int:
        given = {key: list(value) if isinstance(value, tuple) else value for key, value in options.items()}
        return act(image, list(command), {key: value for key, value in given.items() if value not in (None, [])})

    return RunCommand(
        name,
        callback=execute,
        params=[
            *(declared(option) for option in OPTIONS if option.name not in without),
            click.Argument(["image"], shell_complete=completion.images),
            click.Argument(["command"], nargs=-1, type=click.UNPROCESSED),
        ],
        help=text,
        context_settings={"allow_interspersed_args": False},
    )


def _run(image: str, command: list[str], options: dict[str, Any]) -> int:
    from tinybox.cli import run as command_line  # late: the engine is not needed for help and errors

    return command_line.execute(image, command, options)


run = table_command(
    "run",
    _run,
    "Run COMMAND in a new container of IMAGE. Options end at IMAGE. Names of options and exit status are docker's.",
)
