"""Commands about containers that are there."""

from __future__ import annotations

import click

from tinybox.container import naming, spec
from tinybox.container.home import Home
from tinybox.isolation import overlay


@click.command()
@click.argument("container")
def diff(container: str) -> None:
    """List what CONTAINER has changed in its files: A added, C changed, D deleted."""
    home = Home()
    bundle = home.bundle(naming.find(home, container))
    layers = spec.load(bundle).get("annotations", {}).get(spec.LAYERS, "").split(":")
    for kind, path in overlay.changes(f"{bundle}/upper", layers):
        click.echo(f"{kind} {path}")
