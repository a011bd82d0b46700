"""`tinybox diff`: list the files that a container has added, changed or deleted."""

from __future__ import annotations

import json

import click

from tinybox.cli import completion
from tinybox.container.files.diff import changes
from tinybox.container.records.paths import Paths
from tinybox.errors import printable


@click.command()
@click.option("--format", "style", metavar="json", type=click.Choice(["json", "plain"]), default="plain",
              help="json: one line of JSON for each change.")  # fmt: skip
@click.argument("container", shell_complete=completion.containers)
def diff(container: str, style: str) -> None:
    """List the files that CONTAINER has changed: A added, C changed, D deleted."""
    for kind, path in changes(Paths(), container):
        click.echo(json.dumps({"Kind": kind, "Path": path}) if style == "json" else f"{kind} {printable(path)}")
