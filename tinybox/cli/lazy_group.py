"""A group of commands from a table, whose modules are imported only when a command is called."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

Table = dict[str, tuple[str, str, str]]  # command: (module, function, the line that --help of the group shows)


class LazyGroup(click.Group):
    """A group of the commands in *table*; the module of a command is imported only when that command is called."""

    def __init__(self, *args: Any, table: Table, **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.table = table

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's signature
        """Return the names of all commands."""
        return sorted(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import the file of *cmd_name* and return its command."""
        if cmd_name not in self.table:
            return None
        module, function, _ = self.table[cmd_name]
        command: click.Command = getattr(import_module(module), function)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the list of commands without importing any of them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, self.table[name][2]) for name in sorted(self.table)])
