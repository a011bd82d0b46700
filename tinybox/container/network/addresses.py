"""IP addresses of boxes (``--ip``): lease and release them, and record a box's endpoints in RUN/ID/network.json.

A lease is a symbolic link, /run/tinybox-networks/NETNS/BRIDGE/ADDRESS, to the run directory of the container that has
the address. symlink(2) fails if the link exists, so no two containers get one address. Bridges belong to the host, so
all stores share these pools. If the container's owner is killed, its lock is free: the next command that needs an
address then removes the lease.
"""

from __future__ import annotations

import os

from tinybox.container.network import BRIDGE, PREFIX, definitions, subnets
from tinybox.container.network.pools import Pool
from tinybox.errors import HostError, StateError, UsageError, report
from tinybox.isolation.network import interfaces as links
from tinybox.linux import quick_json as json
from tinybox.linux.filesystem import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, TypedDict

    from tinybox.container.network.definitions import Network
    from tinybox.container.records.paths import Paths

    class EndpointRequest(TypedDict, total=False):
        """A requested endpoint in a network; a value that is left out or empty is chosen."""

        name: str
        aliases: list[str]
        links: list[str]  # CONTAINER:NAME, for this box alone
        address: str
        address6: str
        mac: str
        link_local: list[str]
        priority: int
        driver_options: dict[str, str]


LIST = "network.json"  # in a container's run directory: its endpoints
_LINK_LOCAL = (16, 64)  # the prefix lengths of link-local addresses of IPv4 and IPv6; see RFC 3927 and RFC 4291
_LAST, _SUBNET = ".last", ".subnet"  # also links: to the address that was leased last, to a bridge's chosen subnet


class Endpoint:
    """One box's endpoint in one network: its addresses, and the names of the two ends of its veth pair.

    *interface* is the end in the box (``eth0``), *link* the end on the host. *address* and *address6* have a prefix
    length (``172.18.0.2/16``), gateways have none; an address that does not exist is empty. *link_local* are more
    addresses with prefix lengths. *sysctls* are parameters of the interface. *isolated*: other boxes in the bridge
    cannot reach it. *masquerade*: packets that leave the host have the host's address.
    """

    def __init__(self, **kept: Any) -> None:
        self.network: str = kept["network"]
        self.id: str = kept["id"]  # the network's id
        self.bridge: str = kept["bridge"]
        self.interface: str = kept["interface"]
        self.link: str = kept["link"]
        self.address: str = kept["address"]
        self.gateway: str = kept["gateway"]
        self.address6: str = kept.get("address6", "")
        self.gateway6: str = kept.get("gateway6", "")
        self.mac: str = kept["mac"]
        self.aliases: list[str] = kept.get("aliases", [])
        self.links: list[str] = kept.get("links", [])
        self.internal: bool = kept.get("internal", False)
        self.mtu: int = kept.get("mtu", definitions.MTU)
        self.link_local: list[str] = kept.get("link_local", [])
        self.priority: int = kept.get("priority", 0)
        self.sysctls: dict[str, str] = kept.get("sysctls", {})
        self.isolated: bool = kept.get("isolated", False)
        self.masquerade: bool = kept.get("masquerade", True)


def way_out(ends: Sequence[Endpoint]) -> Endpoint | None:
    """Return the endpoint that gets the default route: of the networks that are not internal the one of most priority.

    Of several with the same priority (--gw-priority) it is the first. None: all of them are internal.
    """
    return max((end for end in ends if not end.internal), key=lambda end: end.priority, default=None)


def lease(paths: Paths, network: Network, container: str, want: EndpointRequest) -> Endpoint:
    """Lease *container* an address in *network*, and return the endpoint; StateError if no address is free.

    The container must have a living owner. The endpoint is recorded in the run directory before the lease is made: so
    the command that reaps the container after a crash knows which addresses to release.
    """
    owner, others = paths.run_directory(container), endpoints(paths, container)
    with Pool(network.bridge) as pool:
        if network.name == BRIDGE:
            _choose_subnet(pool, network)
        address = _choose_address(pool, network, want.get("address", ""))
        found = _endpoint(network, container, address, others, want)
        given = [address]
        if network.subnet6:
            from tinybox.container.network import addresses6

            given.append(addresses6.chosen(pool, network, address, want.get("address6", "")))
            found.address6 = f"{given[1]}/{subnets.prefix(network.subnet6)}"
        write(paths, container, [*others, found])
        for each in given:
            pool.lease(each, owner)
        pool.note(_LAST, address)
    return found


def _names(container: str, prefix: str, others: list[Endpoint]) -> tuple[str, str]:
    """Return the names of a new veth pair, ``ethN`` in the box and ``veth...N`` on the host, with the lowest free N."""
    taken = {name for end in others for name in (end.interface, end.link)}
    bases = (prefix, f"veth{container[:9]}")  # IFNAMSIZ is 16, with the zero at its end; see netdevice(7)
    numbers = [next(n for n in range(len(others) + 1) if f"{base}{n}" not in taken) for base in bases]
    return f"{bases[0]}{numbers[0]}", f"{bases[1]}{numbers[1]}"


def _endpoint(
    network: Network, container: str, address: str, others: list[Endpoint], want: EndpointRequest
) -> Endpoint:
    octets = subnets.number(address).to_bytes(4, "big")
    interface, link = _names(container, network.options.get(PREFIX, "eth"), others)
    found = Endpoint(
        network=network.name,
        id=network.id,
        bridge=network.bridge,
        interface=interface,
        link=link,
        address=f"{address}/{subnets.prefix(network.subnet)}",
        gateway=network.gateway,
        gateway6=network.gateway6,
        mac=want.get("mac") or "02:42:" + ":".join(f"{octet:02x}" for octet in octets),  # as docker's: unique per IP
        aliases=list(want.get("aliases") or ()),
        links=list(want.get("links") or ()),
        internal=network.internal,
        mtu=min(network.mtu, links.mtu_of_way_out() or network.mtu),  # larger packets would be lost on the way out
        link_local=[f"{each}/{_LINK_LOCAL[':' in each]}" for each in want.get("link_local") or ()],
        priority=want.get("priority", 0),
    )
    if network.options or want.get("driver_options"):
        _carry_out(network.options, want.get("driver_options") or {}, found, others)
    return found


def _carry_out(of_network: dict[str, str], of_endpoint: dict[str, str], end: Endpoint, others: list[Endpoint]) -> None:
    """Put the meaning of the options of a network and of an endpoint into *end*, of a box that has *others*, too.

    StateError: the box has an interface with the name that is asked for.
    """
    from tinybox.container.network import driver_options as known

    end.isolated = not known.is_on(of_network, known.TALKS)
    end.masquerade = known.is_on(of_network, known.MASQUERADE)
    end.sysctls = known.sysctls(of_endpoint)
    if name := of_endpoint.get(known.INTERFACE):
        if name in {other.interface for other in others}:
            raise StateError(f"interface {name}", "the box has one with this name", "choose another ifname")
        end.interface = name


def _choose_subnet(pool: Pool, network: Network) -> None:
    """Choose the subnet of ``bridge``: the first one that this host does not use; keep it while a box has a lease."""
    chosen = pool.link(_SUBNET)
    if not chosen or not pool.addresses():
        used = subnets.routed(but=network.bridge)
        free = (each for each in definitions.DEFAULT_SUBNETS if not any(subnets.overlap(each, other) for other in used))
        chosen = next(free, "")
        if not chosen:
            cause = "this host has routes to all the subnets that tinybox could choose for it"
            raise HostError("network bridge", cause, "make another network: tinybox network create --subnet")
        pool.note(_SUBNET, chosen)
    network.subnet, network.gateway = chosen, definitions.first_address(chosen)


def _choose_address(pool: Pool, network: Network, wanted: str) -> str:
    """Return the address *wanted*, or if that is empty the next free one after the address that was leased last.

    So an address that was released is used again as late as possible.
    """
    if wanted:
        return _check_wanted(pool, network, wanted)
    address = _next(pool, network)
    if not address:
        pool.reclaim()
        address = _next(pool, network)
    if not address:
        raise StateError(f"network {network.name}", "no available IPv4 addresses on this network", "remove some boxes")
    return address


def _next(pool: Pool, network: Network) -> str:
    first, last = subnets.span(network.subnet)
    low, high = first + 1, last - 1  # no box can have the network's own address or the broadcast address
    if network.range:
        begin, end = subnets.span(network.range)
        low, high = max(low, begin), min(high, end)
    taken, former = {network.gateway, *network.reserved.values(), *pool.addresses()}, pool.link(_LAST)
    start = subnets.number(former) if former else low - 1
    size = high - low + 1
    for step in range(1, size + 1):
        address = subnets.dotted(low + (start - low + step) % size)
        if address not in taken:
            return address
    return ""


def _check_wanted(pool: Pool, network: Network, wanted: str) -> str:
    first, last = subnets.span(network.subnet)
    if not first < subnets.number(wanted) < last:
        cause = f"no configured subnet contains IP address {wanted}"
        raise UsageError(f"network {network.name}", cause, f"its subnet is {network.subnet}")
    if wanted in pool.addresses():
        pool.reclaim()
    holder = pool.link(wanted)
    if holder or wanted in (network.gateway, *network.reserved.values()):
        own = "it is the gateway's" if wanted == network.gateway else "it is reserved by --aux-address"
        user = f"container {os.path.basename(holder)[:12]} has it" if holder else own
        raise StateError(f"IP address {wanted}", f"Address already in use on network {network.name}", user)
    return wanted


def give_back(paths: Paths, container: str, network: str = "") -> list[Endpoint]:
    """Release all addresses of *container*, or only those in *network*; return the endpoints that were removed."""
    released, owner = [], paths.run_directory(container)
    found = endpoints(paths, container)
    for endpoint in found:
        if network in ("", endpoint.network):
            with Pool(endpoint.bridge) as pool:
                for address in filter(None, (endpoint.address, endpoint.address6)):
                    pool.release(address.partition("/")[0], owner)
            released.append(endpoint)
    if released:
        write(paths, container, [endpoint for endpoint in found if endpoint not in released])
    return released


def endpoints(paths: Paths, container: str) -> list[Endpoint]:
    """Return the endpoints of *container*; a container that does not run has none."""
    return read(paths.run_directory(container))


def read(owner: str) -> list[Endpoint]:
    """Return the endpoints of the container with the run directory *owner*; none if it has no network.json."""
    from tinybox.container.records import shapes

    path = os.path.join(owner, LIST)
    try:
        return [Endpoint(**kept) for kept in json.read_own(path, shapes.NETWORKS) or ()]
    except ValueError as error:  # a later command takes its addresses back, when it has no owner any more
        report(f"{path}: it is damaged: {error}")
        return []


def write(paths: Paths, container: str, found: list[Endpoint]) -> None:
    """Write the endpoints *found* of *container* to network.json, whole or not at all; see rename(2)."""
    path = os.path.join(paths.run_directory(container), LIST)
    files.replace(path, json.dumps([vars(endpoint) for endpoint in found]).encode(), 0o644)
