"""`tinybox inspect` and `tinybox port`: all details of containers and images, and a container's published ports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from tinybox.cli import completion
from tinybox.cli.formatting.details import print_details
from tinybox.cli.late import Late
from tinybox.container.network import published_ports
from tinybox.container.records import naming
from tinybox.container.records.paths import Paths
from tinybox.container.views import listing
from tinybox.errors import ImageError, StateError, UsageError
from tinybox.images.store import NO_SUCH, Store

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinybox.container.views import disk_usage, inspection
else:
    disk_usage = Late("tinybox.container.views.disk_usage")
    inspection = Late("tinybox.container.views.inspection")

MISSING = (
    NO_SUCH,
    naming.NO_SUCH,
    "no such volume",
    "not found",
)  # causes that let `inspect` look among another kind of things


KINDS = ("container", "image", "network", "volume")
SIZE = click.option("-s", "--size", is_flag=True, help="Show the sizes of a container: SizeRw and SizeRootFs, bytes.")
FORMAT = click.option("-f", "--format", "style", default="", metavar="FORMAT",
                      help="json, or a template such as '{{.State.Status}}' or '{{json .Mounts}}'.")  # fmt: skip


def _container(paths: Paths, name: str, *, size: bool) -> dict[str, Any]:
    listed = listing.find(paths, name)
    sizes = disk_usage.sizes_of(listed) if size else ()
    return inspection.container(listed) | dict(zip(("SizeRw", "SizeRootFs"), sizes, strict=False))


def _image(paths: Paths, name: str) -> dict[str, Any]:
    store = Store(paths.root)
    return inspection.image(store, store.image(name))


def _network(paths: Paths, name: str) -> dict[str, Any]:
    from tinybox.container.network import definitions
    from tinybox.container.views import network_inspection

    return network_inspection.as_dict(paths, definitions.find(paths, name))


def _volume(paths: Paths, name: str) -> dict[str, Any]:
    from tinybox.container.storage import volumes
    from tinybox.container.views import volume_inspection

    return volume_inspection.as_dict(volumes.find(paths, name))


def _known(paths: Paths, name: str, kind: str, *, size: bool) -> dict[str, Any]:
    """Return the details of *name*: of the first of KINDS that has it; *kind* allows only one of them."""
    readers: dict[str, Callable[[Paths, str], dict[str, Any]]] = {
        "container": lambda paths, name: _container(paths, name, size=size),
        "image": _image,
        "network": _network,
        "volume": _volume,
    }
    if kind:
        return readers[kind](paths, name)
    for read in readers.values():
        try:
            return read(paths, name)
        except (StateError, ImageError) as error:
            if not any(cause in error.cause for cause in MISSING):
                raise
    cause = "there is no such container, image, network or volume"
    names = lambda: [*naming.every(paths).values(), *Store(paths.root).short_names()]  # noqa: E731
    raise StateError(f"object {name}", cause, "see ps -a, images").meant(name, names)


@click.command()
@FORMAT
@click.option("--type", "kind", default="", metavar="TYPE", help=f"{', '.join(KINDS)} (default: the first that fits).")
@SIZE
@click.argument("names", nargs=-1, required=True, metavar="NAME...", shell_complete=completion.containers)
def inspect(names: tuple[str, ...], style: str, kind: str, *, size: bool) -> int:
    """Show all details of each NAME, a container, image, network or volume, as JSON.

    Spec is a container's config.json.
    """
    if kind not in ("", *KINDS):
        raise UsageError(f"--type {kind}", "is unknown", ", ".join(KINDS))
    return _print(names, style, kind, size=size)


@click.command()
@click.option("-f", "--format", "style", default="", metavar="FORMAT",
              help="json, or a template such as '{{.Config.Env}}'.")  # fmt: skip
@click.argument("names", nargs=-1, required=True, metavar="NAME|ID...", shell_complete=completion.images)
def inspect_image(names: tuple[str, ...], style: str) -> int:
    """Show all details of each image as JSON."""
    return _print(names, style, "image")


@click.command()
@FORMAT
@SIZE
@click.argument("names", nargs=-1, required=True, metavar="CONTAINER...", shell_complete=completion.containers)
def inspect_container(names: tuple[str, ...], style: str, *, size: bool) -> int:
    """Show all details of each container as JSON; Spec is its config.json."""
    return _print(names, style, "container", size=size)


def _print(names: tuple[str, ...], style: str, kind: str, *, size: bool = False) -> int:
    """Print the details of each name of this *kind*, and an error for each one that is missing; return the status."""
    paths = Paths()
    return print_details(names, style, lambda name: _known(paths, name, kind, size=size))


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
