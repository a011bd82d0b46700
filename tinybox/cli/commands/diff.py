"""`tinybox diff`: list the files that a container has added, changed or deleted."""

from __future__ import annotations

import json

import click

from tinybox.cli import completion
from tinybox.container.files import mount_placeholders
from tinybox.container.records import naming, spec
from tinybox.container.records.paths import Paths
from tinybox.errors import printable
from tinybox.isolation import overlay, overlay_changes


@click.command()
@click.option("--format", "style", metavar="json", type=click.Choice(["json", "plain"]), default="plain",
              help="json: one line of JSON for each change.")  # fmt: skip
@click.argument("container", shell_complete=completion.containers)
def diff(container: str, style: str) -> None:
    """List the files that CONTAINER has changed: A added, C changed, D deleted."""
    paths = Paths()
    bundle = paths.bundle(naming.find(paths, container))
    config = spec.load(bundle)
    layers = config.get("annotations", {}).get(spec.LAYERS, "").split(":")
    mark = overlay.opaque_mark(userns=spec.has_other_users(config))
    placeholders = mount_placeholders.made(f"{bundle}/upper", layers, mark)
    for kind, path in overlay_changes.changes(f"{bundle}/upper", layers, mark):
        if path not in placeholders:
            click.echo(json.dumps({"Kind": kind, "Path": path}) if style == "json" else f"{kind} {printable(path)}")
