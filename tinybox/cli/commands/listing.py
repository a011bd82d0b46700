"""`tinybox ps`: list containers as a table, as JSON or by a template."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from tinybox.cli.formatting.options import filter_option, format_option, no_trunc_option, print_lines, quiet_option
from tinybox.cli.formatting.table import Columns, Table
from tinybox.cli.late import Late
from tinybox.container.network import published_ports
from tinybox.container.records.paths import Paths
from tinybox.container.views import listing, units
from tinybox.container.views.container_filters import KEYS, ContainerFilter
from tinybox.container.views.listing import Listed
from tinybox.container.views.status_text import status
from tinybox.errors import printable

if TYPE_CHECKING:
    from tinybox.container.views import disk_usage, network_inspection
else:
    disk_usage = Late("tinybox.container.views.disk_usage")
    network_inspection = Late("tinybox.container.views.network_inspection")

USUAL = "ID Image Command RunningFor Status Ports Names"
FIELDS = f"{USUAL} Size CreatedAt State Labels Label Mounts Networks LocalVolumes Platform"
RAW = (
    "container_id:ID image:Image command:Command created_at:CreatedAt state:State status:Status names:Names "
    "labels:Labels ports:Ports"
)
SHORT, COMMAND_WIDTH = 12, 20


def columns(*, full: bool, now: int) -> Columns:
    """Return the columns of `ps`: docker's names, their headings, and the function that returns the value of each."""

    def cut(text: str, width: int) -> str:
        return text if full or len(text) <= width else f"{text[: width - 1]}…"

    return {
        "ID": ("CONTAINER ID", lambda c: c.id if full else c.id[:SHORT]),
        "Image": ("IMAGE", lambda c: c.image),
        "Command": ("COMMAND", lambda c: _quoted(cut(c.command, COMMAND_WIDTH))),
        "CreatedAt": ("CREATED AT", lambda c: units.local(c.state.get("createdAt", 0))),
        "RunningFor": ("CREATED", lambda c: units.ago(c.state.get("createdAt", now), now)),
        "State": ("STATE", lambda c: c.word),
        "Status": ("STATUS", lambda c: status(c, now)),
        "Ports": ("PORTS", lambda c: published_ports.as_text(c.ports, c.annotations) if c.is_alive else ""),
        "Size": ("SIZE", _size),
        "Names": ("NAMES", lambda c: c.name),
        "Labels": ("LABELS", lambda c: ",".join(f"{key}={value}" for key, value in sorted(c.labels.items()))),
        "Label": ("", lambda c: lambda key: c.labels.get(key, "")),
        "Mounts": ("MOUNTS", lambda c: ",".join(cut(mount.get("Name") or mount["Source"], 15) for mount in c.mounts())),
        "Networks": ("NETWORKS", lambda c: ",".join(network_inspection.names(c))),
        "Platform": ("PLATFORM", lambda _: None),  # as in docker, whose store of images does not say it
        "LocalVolumes": ("LOCAL VOLUMES", lambda c: str(sum(mount["Type"] == "volume" for mount in c.mounts()))),
    }


def _size(listed: Listed) -> str:
    """Return the size of its own files, and with those of its image, as docker writes them."""
    own, whole = disk_usage.sizes_of(listed)
    return f"{units.decimal_size(own)} (virtual {units.decimal_size(whole)})"


def _quoted(text: str) -> str:
    escaped = printable(text).replace('"', '\\"')
    return f'"{escaped}"'


def _chosen(paths: Paths, filters: tuple[str, ...], *, all_of_them: bool, newest: int) -> list[Listed]:
    matches = ContainerFilter(paths, filters)
    at_rest = all_of_them or newest > 0 or matches.at_rest
    found = listing.containers(paths, at_rest=at_rest, is_wanted=matches)
    return found[:newest] if newest > 0 else found


@click.command()
@click.option("-a", "--all", "all_of_them", is_flag=True, help="Show containers that do not run, too.")
@quiet_option()
@click.option("-n", "--last", type=int, default=-1, metavar="N", help="Show the N newest, in any state.")
@click.option("-l", "--latest", is_flag=True, help="Show the newest, in any state.")
@click.option("-s", "--size", is_flag=True, help="Show the sizes, too: of its own files, and with its image.")
@no_trunc_option("ids and commands")
@filter_option(KEYS)
@format_option(FIELDS)
def ps(
    filters: tuple[str, ...], style: str, *, all_of_them: bool, quiet: bool, last: int, latest: bool, **shown: bool
) -> None:
    """List the running containers, or with -a all containers, the newest first."""
    no_trunc = shown["no_trunc"]
    table = Table(columns(full=no_trunc, now=time.time_ns()), style, f"{USUAL} Size" if shown["size"] else USUAL, RAW)
    found = _chosen(Paths(), filters, all_of_them=all_of_them, newest=1 if latest else last)
    if quiet and style:
        click.echo("tinybox: --format is ignored: --quiet is given, too", err=True)
    print_lines([listed.id if no_trunc else listed.id[:SHORT] for listed in found] if quiet else table.lines(found))
