"""`tinybox network`: list, make, inspect, connect, draw and remove networks."""

from __future__ import annotations

from itertools import filterfalse
from typing import TYPE_CHECKING, Any

import click

from tinybox.cli import completion, several
from tinybox.cli.formatting.details import print_details
from tinybox.cli.formatting.options import (
    filter_option,
    format_option,
    no_trunc_option,
    only_names,
    print_lines,
    prune_filter_option,
    quiet_option,
)
from tinybox.cli.formatting.table import Columns, Table
from tinybox.cli.late import Late
from tinybox.cli.lazy_group import CommandGroup
from tinybox.container.config import network_option
from tinybox.container.network import definitions
from tinybox.container.records.paths import Paths
from tinybox.container.views import units
from tinybox.container.views.filter_values import PRUNE_KEYS, Filter, truth
from tinybox.errors import StateError, UsageError, printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinybox.container import connections
    from tinybox.container.network import making
    from tinybox.container.network.addresses import EndpointRequest
    from tinybox.container.network.definitions import Network
    from tinybox.container.records import host
    from tinybox.container.views import network_inspection

    Test = Callable[[Network], bool]
else:
    connections = Late("tinybox.container.connections")
    making = Late("tinybox.container.network.making")
    host = Late("tinybox.container.records.host")
    network_inspection = Late("tinybox.container.views.network_inspection")

USUAL = "ID Name Driver Scope"
RAW = "network_id:ID name:Name driver:Driver scope:Scope"
FILTERS = ("dangling", "driver", "id", "label", "name", "scope", "type")


def columns(*, whole: bool) -> Columns:
    """Return the columns of `network ls`, which are docker's; ids *whole* or short."""
    return {
        "ID": ("NETWORK ID", lambda network: network.id if whole else network.id[:12]),
        "Name": ("NAME", lambda network: network.name),
        "Driver": ("DRIVER", lambda network: network.driver),
        "Scope": ("SCOPE", lambda _: "local"),
        "IPv4": ("IPV4", lambda network: str(bool(network.subnet)).lower()),
        "IPv6": ("IPV6", lambda network: str(bool(network.subnet6)).lower()),
        "Internal": ("INTERNAL", lambda network: str(network.internal).lower()),
        "Labels": (
            "LABELS",
            lambda network: ",".join(f"{key}={value}" for key, value in sorted(network.labels.items())),
        ),
        "Label": ("", lambda network: lambda key: network.labels.get(key, "")),
        "CreatedAt": ("CREATED AT", lambda network: units.stamp(network.created)),
    }


class NetworkFilter(Filter):
    """A test whether a network matches every --filter KEY=VALUE of `network ls` or `network prune`."""

    def __init__(self, paths: Paths, filters: tuple[str, ...], keys: tuple[str, ...] = FILTERS) -> None:
        self._paths = paths
        super().__init__(filters, keys)

    def _dangling(self, value: str) -> Test:
        dangling = truth("dangling", value)
        used = {endpoint.network for _, endpoint in making.users(self._paths)}
        return lambda network: (network.name not in used and not network.is_predefined) == dangling

    def _driver(self, value: str) -> Test:
        return lambda network: network.driver == value

    def _id(self, value: str) -> Test:
        return lambda network: value in network.id

    def _name(self, value: str) -> Test:
        return lambda network: value in network.name

    def _scope(self, value: str) -> Test:
        return lambda _: value == "local"

    def _type(self, value: str) -> Test:
        if value not in ("custom", "builtin"):
            raise UsageError(f"--filter type={value}", "is unknown", "custom or builtin")
        return lambda network: network.is_predefined == (value == "builtin")


def pairs(texts: tuple[str, ...]) -> dict[str, str]:
    """Return texts of the form ``KEY=VALUE`` as a dictionary; a missing value is the empty string."""
    return dict(text.partition("=")[::2] for text in texts)


@click.group(cls=CommandGroup)
def network() -> None:
    """List, make, show and remove networks, and connect containers to them."""


@network.command("ls")
@quiet_option()
@filter_option(FILTERS)
@format_option(f"{USUAL} IPv4 IPv6 Internal Labels Label CreatedAt")
@no_trunc_option()
def ls(filters: tuple[str, ...], style: str, *, quiet: bool, no_trunc: bool) -> None:
    """List the networks."""
    paths = Paths()
    matches = NetworkFilter(paths, filters)
    found = [each for each in definitions.every(paths) if matches(each)]
    if only_names(style, quiet=quiet):
        lines = [each.id if no_trunc else each.id[:12] for each in found]
    else:
        lines = Table(columns(whole=no_trunc), style, USUAL, RAW).lines(found)
    print_lines(lines)


@network.command("create")
@click.option("-d", "--driver", default="bridge", metavar="NAME", help="The driver; there is only bridge.")
@click.option(
    "--subnet",
    "subnets",
    multiple=True,
    metavar="SUBNET",
    help="Such as 172.18.0.0/16; at most one IPv4 and one IPv6 subnet.",
)
@click.option("--gateway", "gateways", multiple=True, metavar="ADDRESS", help="The host's address in the subnet.")
@click.option(
    "--ip-range", "ranges", multiple=True, metavar="SUBNET", help="Choose IPv4 addresses from this part only."
)
@click.option(
    "--aux-address", "reserved", multiple=True, metavar="NAME=ADDRESS", help="An IPv4 address that no box is given."
)
@click.option("--attachable", is_flag=True, help="Without effect: boxes can always be connected.")
@click.option("--scope", type=click.Choice(["local"]), default="local", help="The network is of this machine.")
@click.option("--ipam-driver", type=click.Choice(["default"]), default="default", help="tinybox chooses addresses.")
@click.option("--ipam-opt", "ipam_options", multiple=True, metavar="KEY=VALUE", help="Only shown by inspect.")
@click.option("--internal", is_flag=True, help="Without a route out of the network or into it.")
@click.option("--ipv4", type=bool, default=True, metavar="true", help="A network always has an IPv4 subnet.")
@click.option("--ipv6", is_flag=True, help="Also choose an IPv6 subnet.")
@click.option("--label", "labels", multiple=True, metavar="KEY[=VALUE]", help="Add a label.")
@click.option("-o", "--opt", "options", multiple=True, metavar="KEY=VALUE", help="An option of the driver: mtu=1400.")
@click.argument("name")
def create(
    name: str, driver: str, labels: tuple[str, ...], options: tuple[str, ...], reserved: tuple[str, ...], *,
    ipv4: bool, **more: Any
) -> None:  # fmt: skip
    """Make the network NAME, and print its id."""
    more["ipam_options"] = pairs(more["ipam_options"])
    del more["scope"], more["ipam_driver"]  # each of them has one value
    if not ipv4:
        raise UsageError("--ipv4=false", "a network of IPv6 alone is not supported", "leave it out, and add --ipv6")
    if driver != "bridge":
        raise UsageError(f"--driver {driver}", "there is no such driver", "bridge")
    network_options = making.NetworkOptions(
        labels=pairs(labels), options=pairs(options), reserved=pairs(reserved), **more
    )
    paths = Paths()
    paths.prepare()
    print(making.create(paths, name, network_options).id)


NAMES = click.argument("names", nargs=-1, required=True, metavar="NAME...", shell_complete=completion.networks)
NAME = click.argument("name", metavar="NETWORK", shell_complete=completion.networks)


@network.command("rm")
@click.option("-f", "--force", is_flag=True, help="Ignore names that no network has.")
@NAMES
def rm(names: tuple[str, ...], *, force: bool) -> int:
    """Remove networks to which no container is connected."""
    paths = Paths()

    def is_ignored(name: str) -> bool:
        try:
            definitions.find(paths, name)
        except StateError as error:
            return force and error.cause == "not found"
        return False

    return several.each(filterfalse(is_ignored, names), lambda name: making.remove(paths, name))


@network.command("inspect")
@click.option("-f", "--format", "style", default="", metavar="FORMAT", help="json, or a template.")
@click.option("-v", "--verbose", is_flag=True, help="Without effect: there are no services of a swarm to show.")
@NAMES
def inspect(names: tuple[str, ...], style: str, *, verbose: bool) -> int:  # noqa: ARG001
    """Show all details of networks, and the containers that are connected to them."""
    paths = Paths()
    return print_details(names, style, lambda name: network_inspection.as_dict(paths, definitions.find(paths, name)))


@network.command("connect")
@click.option("--ip", "address", default="", metavar="ADDRESS", help="Its IPv4 address in the network.")
@click.option("--ip6", "address6", default="", metavar="ADDRESS", help="Its IPv6 address in the network.")
@click.option("--alias", "aliases", multiple=True, metavar="NAME", help="Another name for it in the network.")
@click.option("--link", "links", multiple=True, metavar="CONTAINER[:NAME]", help="It finds CONTAINER by NAME, too.")
@click.option("--link-local-ip", "link_local", multiple=True, metavar="ADDRESS", help="Another, link-local address.")
@click.option("--gw-priority", "priority", type=int, default=0, metavar="NUMBER",
              help="The network of the highest number has the default route.")  # fmt: skip
@click.option("--driver-opt", "options", multiple=True, metavar="KEY=VALUE",
              help="com.docker.network.endpoint.ifname=NAME, or .sysctls=net.ipv4.conf.IFNAME.KEY=VALUE.")  # fmt: skip
@NAME
@click.argument("container", shell_complete=completion.containers)
def connect(name: str, container: str, aliases: tuple[str, ...], options: tuple[str, ...], **more: Any) -> None:
    """Connect CONTAINER, running or not, to NETWORK."""
    paths = Paths()
    found = definitions.find(paths, name)
    more["link_local"] = list(more["link_local"])
    more["links"] = list(map(network_option.link, more["links"]))
    request: EndpointRequest = {"name": found.name, "aliases": list(aliases), **more}  # type: ignore[typeddict-item]
    if options:
        request["driver_options"] = pairs(options)
    connections.connect(paths, found, container, request)


@network.command("disconnect")
@click.option("-f", "--force", is_flag=True, help="No error if it is not connected or the network is gone.")
@NAME
@click.argument("container", shell_complete=completion.containers)
def disconnect(name: str, container: str, *, force: bool) -> None:
    """Disconnect CONTAINER, running or not, from NETWORK."""
    connections.disconnect(Paths(), name, container, force=force)


@network.command("prune")
@click.option("-f", "--force", is_flag=True, help="Do not ask.")
@prune_filter_option()
def prune(filters: tuple[str, ...], *, force: bool) -> None:
    """Remove the networks to which no container is connected."""
    from tinybox.cli.commands.prune import confirm

    paths = Paths()
    matches = NetworkFilter(paths, filters, PRUNE_KEYS)
    if not force and not confirm(["all custom networks not used by at least one container"], filters):
        return
    removed = making.prune(paths, matches)
    if removed:
        print("Deleted Networks:", *removed, "", sep="\n")


@network.command("show")
@NAME
def show(name: str) -> None:
    """Draw NETWORK as it is in the kernel now: bridge, veth pairs, addresses, routes, firewall rules and counters."""
    from tinybox.container.views import network_picture

    paths = Paths()
    host.read(paths.cache).check()
    click.echo("\n".join(map(printable, network_picture.drawn(paths, definitions.find(paths, name)))))
