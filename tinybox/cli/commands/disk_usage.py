"""`tinybox system df`: how much space everything takes, with docker's columns."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from tinybox.cli.formatting.options import format_option, print_lines
from tinybox.cli.formatting.table import Columns, Row, Table
from tinybox.cli.formatting.template import Template, unescaped
from tinybox.cli.late import Late
from tinybox.container.records.paths import Paths
from tinybox.container.views import units

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinybox.cli.commands import listing, volumes
    from tinybox.cli.commands.image import images
    from tinybox.container.views import disk_usage
else:
    listing = Late("tinybox.cli.commands.listing")
    volumes = Late("tinybox.cli.commands.volumes")
    images = Late("tinybox.cli.commands.image.images")
    disk_usage = Late("tinybox.container.views.disk_usage")


def _size(count: int) -> str:
    return units.decimal_size(count, digits=4)


def _reclaimable(total: disk_usage.Total) -> str:
    share = f" ({100 * total.reclaimable // total.size}%)" if total.size else ""
    return f"{_size(total.reclaimable)}{share}"


USUAL = "Type TotalCount Active Size Reclaimable"
RAW = "type:Type total:TotalCount active:Active size:Size reclaimable:Reclaimable"
COLUMNS: Columns = {
    "Type": ("TYPE", lambda total: total.kind),
    "TotalCount": ("TOTAL", lambda total: str(total.total)),
    "Active": ("ACTIVE", lambda total: str(total.active)),
    "Size": ("SIZE", lambda total: _size(total.size)),
    "Reclaimable": ("RECLAIMABLE", _reclaimable),
}


def _of(columns: Columns, part: Callable[[Any], Any]) -> Columns:
    """Return *columns* for rows of which *part* returns the thing that these columns are about."""

    def moved(value: Callable[[Any], Any]) -> Callable[[Any], Any]:
        return lambda row: value(part(row))

    return {name: (heading, moved(value)) for name, (heading, value) in columns.items()}


IMAGES: Columns = {
    **_of(images.COLUMNS, lambda use: use.listed),
    "SharedSize": ("SHARED SIZE", lambda use: _size(use.shared)),
    "UniqueSize": ("UNIQUE SIZE", lambda use: _size(use.unique)),
    "Containers": ("CONTAINERS", lambda use: str(use.containers)),
}
VOLUMES: Columns = {
    **_of(volumes.COLUMNS, lambda use: use.volume),
    "Links": ("LINKS", lambda use: str(use.links)),
    "Size": ("SIZE", lambda use: _size(use.size)),
}
CACHE: Columns = {
    "ID": ("CACHE ID", lambda use: use.id),
    "Parent": ("PARENT", lambda _: ""),
    "CacheType": ("CACHE TYPE", lambda use: use.kind),
    "Description": ("DESCRIPTION", lambda use: use.kind),
    "Size": ("SIZE", lambda use: _size(use.size)),
    "CreatedAt": ("CREATED AT", lambda use: units.local(use.created)),
    "CreatedSince": ("CREATED", lambda use: units.ago(use.created, time.time_ns())),
    "Shared": ("SHARED", lambda use: str(use.is_shared).lower()),
}


def containers() -> Columns:
    """Return the columns of `ps`, with the size of all files that are the container's own."""
    columns = _of(listing.columns(full=False, now=time.time_ns()), lambda use: use.listed)
    return {**columns, "Size": ("SIZE", lambda use: _size(use.size))}


@click.command("df")
@click.option("-v", "--verbose", is_flag=True, help="List each image, container, volume and entry of the build cache.")
@format_option(USUAL)
def df(style: str, *, verbose: bool) -> None:
    """Show how much space images, containers, volumes and the build cache take, and how much can be freed.

    A layer that images share is counted once. A container's size is that of its own files, with its log.
    """
    usage = disk_usage.DiskUsage(Paths())
    if not verbose:
        print_lines(Table(COLUMNS, style, USUAL, RAW).lines(usage.totals()))
        return
    parts: list[tuple[str, str, Columns, str, list[Any]]] = [
        ("Images", "Images", IMAGES, "Repository Tag ID CreatedSince Size SharedSize UniqueSize Containers",
         usage.images()),
        ("Containers", "Containers", containers(), "ID Image Command LocalVolumes Size RunningFor Status Names",
         usage.containers),
        ("Volumes", "Local Volumes", VOLUMES, "Name Links Size", usage.volumes),
        ("BuildCache", "Build cache", CACHE, "ID CacheType Size Shared", usage.cache),
    ]  # fmt: skip
    if style not in ("", "table"):
        template = Template("{{json .}}" if style == "json" else unescaped(style))
        print(template.render({key: [Row(columns, row) for row in rows] for key, _, columns, _, rows in parts}))
    else:
        for _, title, columns, usual, rows in parts:
            print_lines([f"{title} space usage:", "", *Table(columns, "", usual).lines(rows), ""])
