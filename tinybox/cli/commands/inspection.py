"""Commands that tell all about one thing: inspect, and port."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from tinybox.cli import completion
from tinybox.cli.formatting.template import Template
from tinybox.container.network import published_ports
from tinybox.container.records.paths import Paths
from tinybox.container.views import inspection, listing
from tinybox.errors import ImageError, StateError, TinyboxError, UsageError
from tinybox.images.store import Store


def _known(paths: Paths, name: str, kind: str) -> dict[str, Any]:
    """Return what is known of *name*: a container, or else an image, unless *kind* says which."""
    if kind in ("", "container"):
        try:
            return inspection.container(listing.find(paths, name))
        except StateError as error:
            if kind or "more than one" in error.cause:
                raise
    try:
        return inspection.image(Store(paths.root).image(name))
    except ImageError as error:
        if kind or "no such image" not in error.cause:
            raise
        raise StateError(f"object {name}", "there is no such container or image", "see ps -a, images") from error


@click.command()
@click.option("-f", "--format", "style", default="", metavar="FORMAT",
              help="json, or a template such as '{{.State.Status}}' or '{{json .Mounts}}'.")  # fmt: skip
@click.option("--type", "kind", default="", metavar="TYPE", help="container or image; both are tried otherwise.")
@click.argument("names", nargs=-1, required=True, metavar="NAME...", shell_complete=completion.containers)
def inspect(names: tuple[str, ...], style: str, kind: str) -> int:
    """Show all that is known of each NAME, a container or an image, as JSON; Spec is a container's config.json."""
    if kind not in ("", "container", "image"):
        raise UsageError(f"--type {kind}", "is unknown", "container or image")
    template = Template("{{json .}}" if style == "json" else style)
    paths, found, failed = Paths(), [], []
    for name in names:
        try:
            known = _known(paths, name, kind)
            found.append(template.render(known) if style else known)
        except TinyboxError as error:
            failed.append(f"tinybox: {error}")
    if style:
        click.echo("".join(f"{line}\n" for line in found), nl=False)
    else:
        click.echo(json.dumps(found, indent=4))
    for line in failed:
        print(line, file=sys.stderr)
    return 1 if failed else 0


@click.command()
@click.argument("container", shell_complete=completion.containers)
@click.argument("wanted", required=False, metavar="[PORT[/PROTOCOL]]")
def port(container: str, wanted: str | None) -> None:
    """Show which addresses of the host lead to the ports of CONTAINER; nothing if none was published."""
    published = listing.find(Paths(), container).ports
    asked = f"{wanted}/tcp" if wanted and "/" not in wanted else wanted
    found = [entry for entry in published if asked in (None, published_ports.inside(entry))]
    if asked and not found:
        raise StateError(f"container {container}", f"port {asked} is not published")
    for entry in found:
        click.echo(
            published_ports.outside(entry)
            if asked
            else f"{published_ports.inside(entry)} -> {published_ports.outside(entry)}"
        )
