"""The options that all commands which list something share, with docker's names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Decorator = Callable[[Any], Any]


def format_option(fields: str) -> Decorator:
    """Return the option --format, whose help lists the *fields* that a template can use."""
    example = f"a template such as '{{{{.{fields.split(maxsplit=1)[0]}}}}}'"
    text = f"table, json, {example}, or 'table TEMPLATE'; fields: {fields}."
    return click.option("--format", "style", default="", metavar="FORMAT", help=text)


def quiet_option(what: str = "ids") -> Decorator:
    """Return the option --quiet: the command prints *what*, and nothing else."""
    return click.option("-q", "--quiet", is_flag=True, help=f"Print only {what}.")


def only_names(style: str, *, quiet: bool) -> bool:
    """Return whether --quiet holds: as in docker, --format with JSON or a template of one's own is stronger."""
    return quiet and style in ("", "table")


def no_trunc_option(what: str = "ids") -> Decorator:
    """Return the option --no-trunc: without it, *what* is shortened."""
    return click.option("--no-trunc", is_flag=True, help=f"Do not shorten {what}.")


def filter_option(keys: Iterable[str]) -> Decorator:
    """Return the option --filter, which may be repeated; its help lists the *keys*."""
    text = f"Show only matching ones; keys: {', '.join(keys)}."
    return click.option("-f", "--filter", "filters", multiple=True, metavar="KEY=VALUE", help=text)


def label_option() -> Decorator:
    """Return the option --filter of `volume prune`, with docker's keys."""
    text = "Only those with this label, or without it (label!=); all=true is --all."
    return click.option("--filter", "filters", multiple=True, metavar="label=KEY[=VALUE]|all=true", help=text)


def prune_filter_option() -> Decorator:
    """Return the option --filter of commands that remove what is not used, with docker's keys."""
    text = "Only those made before TIME (10m, 2026-11-21), with this label, or without it (label!=)."
    metavar = "until=TIME|label=KEY[=VALUE]"
    return click.option("--filter", "filters", multiple=True, metavar=metavar, help=text)


def print_lines(lines: Iterable[str]) -> None:
    """Print *lines*, all in one call."""
    click.echo("".join(f"{line}\n" for line in lines), nl=False)
