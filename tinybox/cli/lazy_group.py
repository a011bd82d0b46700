"""A group of commands as docker's: other names of a command, the nearest name for a wrong one, words of other tools.

The modules of a lazy group's commands are imported only when a command is called.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

from tinybox.cli.written_options import plain

Table = dict[str, tuple[str, str, str]]  # command: (module, function, the line that --help of the group shows)
OTHER_NAMES = {"list": "ls", "remove": "rm"}  # docker's other names for commands of its groups


class UnknownCommandError(click.UsageError):
    """A word that is no command, with its *cause* and its *cure*."""

    def __init__(self, word: str, cause: str, cure: str, context: click.Context) -> None:
        super().__init__(f"{word}: {cause}", context)
        self.word, self.cause, self.cure = word, cause, cure


class CommandGroup(click.Group):
    """A group of commands: *other_names* leads to a command, *elsewhere* says in a line what to use for a word."""

    def __init__(
        self,
        *args: Any,
        other_names: dict[str, str] | None = None,
        elsewhere: dict[str, str] | None = None,
        **attributes: Any,
    ) -> None:
        super().__init__(*args, **attributes)
        self.other_names = OTHER_NAMES | (other_names or {})
        self.elsewhere = elsewhere or {}

    def named(self, ctx: click.Context, name: str) -> click.Command | None:
        """Return the command that has *name* as its first name."""
        return super().get_command(ctx, name)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of this name, or of this other name."""
        return self.named(ctx, cmd_name) or self.named(ctx, self.other_names.get(cmd_name, ""))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command and its arguments, in click's form; UnknownCommandError with the nearest name."""
        if not ctx.resilient_parsing and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            raise self._unknown(ctx, args[0])
        name, command, rest = super().resolve_command(ctx, args)
        return name, command, rest if command is None else plain(command, rest)

    def _unknown(self, ctx: click.Context, word: str) -> UnknownCommandError:
        if word in self.elsewhere:
            return UnknownCommandError(word, "is not a command of tinybox", self.elsewhere[word], ctx)
        from difflib import get_close_matches

        near = get_close_matches(word, [*self.list_commands(ctx), *self.other_names], 1)
        if near and self.get_command(ctx, near[0]) is None:
            near = []
        meant = f"did you mean {near[0]}? " if near else ""
        return UnknownCommandError(word, "there is no such command", f"{meant}{ctx.command_path} --help", ctx)


class LazyGroup(CommandGroup):
    """A group of the commands in *table*; the module of a command is imported only when that command is called."""

    def __init__(self, *args: Any, table: Table, **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.table = table

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's signature
        """Return the names of all commands."""
        return sorted(self.table)

    def named(self, ctx: click.Context, name: str) -> click.Command | None:  # noqa: ARG002
        """Import the file of the command *name* and return the command."""
        if name not in self.table:
            return None
        module, function, _ = self.table[name]
        command: click.Command = getattr(import_module(module), function)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the list of commands without importing any of them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, self.table[name][2]) for name in sorted(self.table)])
