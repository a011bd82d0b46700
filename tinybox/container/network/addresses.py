"""Addresses: which box has which, never one address for two; and all that one end of a box's cable is known by.

A lease is a link, /run/tinybox-networks/NETNS/BRIDGE/ADDRESS, that points to the live directory of the box's owner: it
belongs to whoever could make the link. Bridges are the host's, so all stores share these pools; and who can take the
owner's lock knows that the owner has died, and the address is free.
"""

from __future__ import annotations

import os

from tinybox.container.network import BRIDGE, definitions, subnets
from tinybox.container.network.pools import Pool
from tinybox.errors import HostError, StateError, UsageError
from tinybox.isolation.network import interfaces as links
from tinybox.linux import files
from tinybox.linux import quick_json as json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypedDict

    from tinybox.container.network.definitions import Network
    from tinybox.container.records.paths import Paths

    class EndpointRequest(TypedDict, total=False):
        """A place in a network as it is asked for: what is left out, or empty, is chosen."""

        name: str
        aliases: list[str]
        address: str
        address6: str
        mac: str


LIST = "network.json"  # in a container's live directory: its endpoints
_LAST, _SUBNET = ".last", ".subnet"  # links as well: the address given last; the subnet that was chosen for a bridge


class Endpoint:
    """One box's place in one network: what it has got, and what the two ends of its cable are called.

    *interface* is the end in the box (``eth0``), *link* the end on the host. *address* and *address6* have a prefix
    (``172.18.0.2/16``), gateways have none; what there is not is empty.
    """

    def __init__(self, **kept: Any) -> None:
        self.network: str = kept["network"]
        self.id: str = kept["id"]  # of the network
        self.bridge: str = kept["bridge"]
        self.interface: str = kept["interface"]
        self.link: str = kept["link"]
        self.address: str = kept["address"]
        self.gateway: str = kept["gateway"]
        self.address6: str = kept.get("address6", "")
        self.gateway6: str = kept.get("gateway6", "")
        self.mac: str = kept["mac"]
        self.aliases: list[str] = kept.get("aliases", [])
        self.internal: bool = kept.get("internal", False)
        self.mtu: int = kept.get("mtu", definitions.MTU)


def lease(paths: Paths, network: Network, container: str, want: EndpointRequest) -> Endpoint:
    """Give *container*, which the caller owns or knows to be owned, its place in *network*; StateError if it is full.

    It is written down in the live directory first, then taken: so whoever buries the container knows what to free.
    """
    owner, others = paths.run_directory(container), endpoints(paths, container)
    with Pool(network.bridge) as pool:
        if network.name == BRIDGE:
            _settle(pool, network)
        address = _chosen(pool, network, want.get("address", ""))
        found = _endpoint(network, container, address, _number(others), want)
        given = [address]
        if network.subnet6:
            from tinybox.container.network import addresses6

            given.append(addresses6.chosen(pool, network, address, want.get("address6", "")))
            found.address6 = f"{given[1]}/{subnets.prefix(network.subnet6)}"
        write(paths, container, [*others, found])
        for each in given:
            pool.give(each, owner)
        pool.note(_LAST, address)
    return found


def _number(others: list[Endpoint]) -> int:
    """Return the lowest number for which there is no ``ethN`` yet."""
    taken = {endpoint.interface for endpoint in others}
    return next(number for number in range(len(taken) + 1) if f"eth{number}" not in taken)


def _endpoint(network: Network, container: str, address: str, number: int, want: EndpointRequest) -> Endpoint:
    octets = subnets.number(address).to_bytes(4, "big")
    return Endpoint(
        network=network.name,
        id=network.id,
        bridge=network.bridge,
        interface=f"eth{number}",
        link=f"veth{container[:9]}{number}",  # IFNAMSIZ is 16, with the zero at its end; see netdevice(7)
        address=f"{address}/{subnets.prefix(network.subnet)}",
        gateway=network.gateway,
        gateway6=network.gateway6,
        mac=want.get("mac") or "02:42:" + ":".join(f"{octet:02x}" for octet in octets),  # docker's: none has it twice
        aliases=list(want.get("aliases") or ()),
        internal=network.internal,
        mtu=min(network.mtu, links.mtu_of_way_out() or network.mtu),  # what is larger would get lost on its way out
    )


def _settle(pool: Pool, network: Network) -> None:
    """Choose the subnet of ``bridge``: the first one that this host does not use. It is fixed while a box is on it."""
    chosen = pool.link(_SUBNET)
    if not chosen or not pool.leases():
        used = subnets.routed(but=network.bridge)
        free = (each for each in definitions.DEFAULT_SUBNETS if not any(subnets.overlap(each, other) for other in used))
        chosen = next(free, "")
        if not chosen:
            cause = "this host has routes to all the subnets that could be its own"
            raise HostError("network bridge", cause, "make one: tinybox network create --subnet")
        pool.note(_SUBNET, chosen)
    network.subnet, network.gateway = chosen, definitions.first_address(chosen)


def _chosen(pool: Pool, network: Network, wanted: str) -> str:
    """Return the address that is *wanted*, or the next one after that given last: what was freed comes last."""
    if wanted:
        return _wanted(pool, network, wanted)
    address = _next(pool, network)
    if not address:
        pool.reclaim()
        address = _next(pool, network)
    if not address:
        raise StateError(f"network {network.name}", "no available IPv4 addresses on this network", "rm unused boxes")
    return address


def _next(pool: Pool, network: Network) -> str:
    first, last = subnets.span(network.subnet)
    taken, former = {network.gateway, *pool.leases()}, pool.link(_LAST)
    start = subnets.number(former) if former else first
    size = last - first - 1  # neither the network's own address nor that of broadcasts is anybody's
    for step in range(1, size + 1):
        address = subnets.dotted(first + 1 + (start - first - 1 + step) % size)
        if address not in taken:
            return address
    return ""


def _wanted(pool: Pool, network: Network, wanted: str) -> str:
    first, last = subnets.span(network.subnet)
    if not first < subnets.number(wanted) < last:
        cause = f"no configured subnet contains IP address {wanted}"
        raise UsageError(f"network {network.name}", cause, f"its subnet is {network.subnet}")
    if wanted in pool.leases():
        pool.reclaim()
    holder = pool.link(wanted)
    if holder or wanted == network.gateway:
        who = f"container {os.path.basename(holder)[:12]} has it" if holder else "it is the gateway's"
        raise StateError(f"IP address {wanted}", f"Address already in use on network {network.name}", who)
    return wanted


def give_back(paths: Paths, container: str, network: str = "") -> list[Endpoint]:
    """Free all addresses of *container*, or those on one *network*; return the endpoints that it had."""
    gone, owner = [], paths.run_directory(container)
    found = endpoints(paths, container)
    for endpoint in found:
        if network in ("", endpoint.network):
            with Pool(endpoint.bridge) as pool:
                for address in filter(None, (endpoint.address, endpoint.address6)):
                    pool.release(address.partition("/")[0], owner)
            gone.append(endpoint)
    if gone:
        write(paths, container, [endpoint for endpoint in found if endpoint not in gone])
    return gone


def endpoints(paths: Paths, container: str) -> list[Endpoint]:
    """Return the places that *container* has in networks, now that it runs; one at rest has none."""
    return read(paths.run_directory(container))


def read(owner: str) -> list[Endpoint]:
    """Return the places of the container with the live directory *owner*."""
    try:
        with open(os.path.join(owner, LIST), encoding="utf-8") as file:
            return [Endpoint(**kept) for kept in json.load(file)]
    except (FileNotFoundError, NotADirectoryError):
        return []


def write(paths: Paths, container: str, found: list[Endpoint]) -> None:
    """Write the endpoints of *container* down, whole or not at all; see rename(2)."""
    path = os.path.join(paths.run_directory(container), LIST)
    files.replace(path, json.dumps([vars(endpoint) for endpoint in found]).encode(), 0o644)
