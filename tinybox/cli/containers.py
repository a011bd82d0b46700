"""`tinybox diff`: what a container has changed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from tinybox.cli import completion
from tinybox.cli.table import printable
from tinybox.container import configure_network, naming, spec
from tinybox.container.home import Home
from tinybox.isolation import overlay

if TYPE_CHECKING:
    from collections.abc import Iterator


@click.command()
@click.option("--format", "style", metavar="json", type=click.Choice(["json", "plain"]), default="plain",
              help="json: one line of JSON a change.")  # fmt: skip
@click.argument("container", shell_complete=completion.containers)
def diff(container: str, style: str) -> None:
    """List what CONTAINER has changed in its files: A added, C changed, D deleted."""
    home = Home()
    bundle = home.bundle(naming.find(home, container))
    layers = spec.load(bundle).get("annotations", {}).get(spec.LAYERS, "").split(":")
    for kind, path in _of_its_own(overlay.changes(f"{bundle}/upper", layers)):
        click.echo(json.dumps({"Kind": kind, "Path": path}) if style == "json" else f"{kind} {printable(path)}")


def _of_its_own(changes: Iterator[tuple[str, str]]) -> list[tuple[str, str]]:
    """Leave out the places in /etc on which our three files are mounted: where the image has none, we made them.

    So /etc itself, which shows as changed when something in it is, goes with the last of them.
    """
    found = [change for change in changes if change[0] != "A" or change[1] not in configure_network.ETC]
    return [each for each in found if each[1] != "/etc" or any(path.startswith("/etc/") for _, path in found)]
