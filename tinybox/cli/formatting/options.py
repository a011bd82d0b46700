"""The options of commands that list things, which mean the same wherever they are: docker's words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Decorator = Callable[[Any], Any]


def format_option(fields: str) -> Decorator:
    """Return the option --format, whose help names the *fields* that a template can ask for."""
    example = f"a template such as '{{{{.{fields.split(maxsplit=1)[0]}}}}}'"
    words = f"table, json, {example}, or 'table TEMPLATE'; fields: {fields}."
    return click.option("--format", "style", default="", metavar="FORMAT", help=words)


def quiet_option(what: str = "ids") -> Decorator:
    """Return the option --quiet: for scripts, which want to know *what* alone."""
    return click.option("-q", "--quiet", is_flag=True, help=f"Print only {what}.")


def no_trunc_option(what: str = "ids") -> Decorator:
    """Return the option --no-trunc: *what* is otherwise cut short."""
    return click.option("--no-trunc", is_flag=True, help=f"Print {what} whole.")


def filter_option(keys: Iterable[str]) -> Decorator:
    """Return the option --filter, which may be given more than once, each time with one of these *keys*."""
    words = f"Show only those that agree: {', '.join(keys)}."
    return click.option("-f", "--filter", "words", multiple=True, metavar="KEY=VALUE", help=words)


def label_option() -> Decorator:
    """Return the option --filter of a command that removes things: it knows labels alone."""
    words = "Only those with a label."
    return click.option("--filter", "words", multiple=True, metavar="label=KEY[=VALUE]", help=words)


def print_lines(lines: Iterable[str]) -> None:
    """Print *lines* in one piece: who reads them through a pipe gets all, or none."""
    click.echo("".join(f"{line}\n" for line in lines), nl=False)
