"""What the `inspect` commands print: a JSON list of all that was found, or a line of a template for each."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from tinybox.cli.formatting.functions import as_json
from tinybox.cli.formatting.template import of_document
from tinybox.errors import TinyboxError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def print_details(names: Iterable[str], style: str, details: Callable[[str], dict[str, Any]]) -> int:
    """Print the *details* of each name, and an error for each that cannot be found; return the exit status.

    *style* is the value of --format: a template, ``json`` (the list in one line), or "" (the list, indented).
    """
    template = None if style in ("", "json") else of_document(style)
    found: list[Any] = []
    failed = []
    for name in names:
        try:
            known = details(name)
            found.append(template.render(known) if template else known)
        except TinyboxError as error:
            failed.append(f"tinybox: {error}")
    if template:
        click.echo("".join(f"{line}\n" for line in found), nl=False)
    else:
        click.echo(as_json(found) if style else json.dumps(found, indent=4))
    for line in failed:
        print(line, file=sys.stderr)
    return 1 if failed else 0
