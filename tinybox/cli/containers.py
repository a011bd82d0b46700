"""Commands about containers that are there."""

from __future__ import annotations

import click

from tinybox.container import host, lifecycle, spec, state
from tinybox.errors import StateError
from tinybox.isolation import overlay


@click.command()
@click.argument("container")
def diff(container: str) -> None:
    """List what CONTAINER has changed in its files: A added, C changed, D deleted."""
    home = state.Home()
    bundle = home.bundle(state.find(home, container))
    layers = spec.load(bundle).get("annotations", {}).get(spec.LAYERS, "").split(":")
    for kind, path in overlay.changes(f"{bundle}/upper", layers):
        click.echo(f"{kind} {path}")


@click.command()
@click.argument("containers", nargs=-1, required=True)
def rm(containers: tuple[str, ...]) -> None:
    """Remove stopped CONTAINERS and all that they wrote."""
    home = state.Home()
    host.read(home.cache).check()
    for word in containers:
        found = state.find(home, word)
        record = state.read(home, found)
        if record.get("status") != state.STOPPED:
            raise StateError(f"container {word}", f"is {record.get('status')}", "stop it first")
        lifecycle.delete(home, found, record.get("name", ""))
        click.echo(word)
