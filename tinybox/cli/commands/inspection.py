"""`tinybox inspect` and `tinybox port`: all details of containers and images, and a container's published ports."""

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
    """Return the details of *name*: a container, or else an image; *kind* allows only one of them."""
    if kind in ("", "container"):
        try:
            return inspection.container(listing.find(paths, name))
        except StateError as error:
            if kind or "more than one" in error.cause:
                raise
    try:
        store = Store(paths.root)
        return inspection.image(store, store.image(name))
    except ImageError as error:
        if kind or "no such image" not in error.cause:
            raise
        raise StateError(f"object {name}", "there is no such container or image", "see ps -a, images") from error


@click.command()
@click.option("-f", "--format", "style", default="", metavar="FORMAT",
              help="json, or a template such as '{{.State.Status}}' or '{{json .Mounts}}'.")  # fmt: skip
@click.option("--type", "kind", default="", metavar="TYPE", help="container or image (default: try both).")
@click.argument("names", nargs=-1, required=True, metavar="NAME...", shell_complete=completion.containers)
def inspect(names: tuple[str, ...], style: str, kind: str) -> int:
    """Show all details of each NAME, a container or an image, as JSON; Spec is a container's config.json."""
    if kind not in ("", "container", "image"):
        raise UsageError(f"--type {kind}", "is unknown", "container or image")
    return _print(names, style, kind)


@click.command()
@click.option("-f", "--format", "style", default="", metavar="FORMAT",
              help="json, or a template such as '{{.Config.Env}}'.")  # fmt: skip
@click.argument("names", nargs=-1, required=True, metavar="NAME|ID...", shell_complete=completion.images)
def inspect_image(names: tuple[str, ...], style: str) -> int:
    """Show all details of each image as JSON."""
    return _print(names, style, "image")


def _print(names: tuple[str, ...], style: str, kind: str) -> int:
    """Print the details of each name of this *kind*, and an error for each one that is missing; return the status."""
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
@click.argument("private_port", required=False, metavar="[PORT[/PROTOCOL]]")
def port(container: str, private_port: str | None) -> None:
    """Show the host addresses on which ports of CONTAINER are published; nothing if there are none."""
    published = listing.find(Paths(), container).ports
    inside = f"{private_port}/tcp" if private_port and "/" not in private_port else private_port
    found = [entry for entry in published if inside in (None, published_ports.inside(entry))]
    if inside and not found:
        raise StateError(f"container {container}", f"port {inside} is not published")
    for entry in found:
        click.echo(
            published_ports.outside(entry)
            if inside
            else f"{published_ports.inside(entry)} -> {published_ports.outside(entry)}"
        )
