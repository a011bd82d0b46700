"""network create, rm and prune: choose a network's subnet and gateway, refuse what docker refuses, find its users."""

from __future__ import annotations

import ipaddress
import os
import time

from tinybox.container.network import (
    BRIDGE,
    DEFAULT,
    HOST,
    NONE,
    addresses,
    definitions,
    driver_options,
    pools,
    subnets,
)
from tinybox.container.network.definitions import Network
from tinybox.container.records import events, naming
from tinybox.errors import ConflictError, DamagedError, StateError, UsageError
from tinybox.isolation.network import interfaces

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from tinybox.container.records.paths import Paths

    Subnet = ipaddress.IPv4Network | ipaddress.IPv6Network

POOLS = (*(f"172.{number}.0.0/16" for number in range(18, 29)), *(f"192.168.{n}.0/20" for n in range(0, 208, 16)))


class NetworkOptions:
    """The options of `network create`; subnets and gateways that are left out are chosen."""

    def __init__(
        self,
        subnets: Sequence[str] = (),
        gateways: Sequence[str] = (),
        *,
        ranges: Sequence[str] = (),
        reserved: dict[str, str] | None = None,
        internal: bool = False,
        ipv6: bool = False,
        attachable: bool = False,
        ipam_options: dict[str, str] | None = None,
        labels: dict[str, str] | None = None,
        options: dict[str, str] | None = None,
    ) -> None:
        self.subnets, self.gateways, self.internal, self.ipv6 = subnets, gateways, internal, ipv6
        self.ranges, self.reserved, self.attachable = ranges, reserved or {}, attachable
        self.ipam_options = ipam_options or {}
        self.labels, self.options = labels or {}, options or {}


def create(paths: Paths, name: str, request: NetworkOptions) -> Network:
    """Make the network *name* with the options in *request*; UsageError or StateError names the option that is wrong.

    Only ROOT/networks/NAME.json is written; the bridge is made when the first box is connected.
    """
    with definitions.NetworksLock(paths):
        others = definitions.every(paths)
        if name in (BRIDGE, HOST, NONE, DEFAULT):
            raise StateError(f"network {name}", "operation is not permitted on predefined networks", "choose another")
        if any(other.name == name for other in others) or os.path.lexists(f"{paths.networks}/{name}.json"):  # damaged
            raise ConflictError(f"network {name}", f"network with name {name} already exists", "choose another")
        number = os.urandom(32).hex()
        kept = _subnets(request, others)
        made = Network(
            name,
            id=number,
            bridge=_bridge(request.options, others) or f"tb-{number[:12]}",
            attachable=request.attachable,
            ipam_options=request.ipam_options,
            internal=request.internal,
            mtu=driver_options.mtu(request.options, ipv6="subnet6" in kept),
            options=request.options,
            labels=request.labels,
            reserved=_reserved(request.reserved, kept["subnet"]),
            created=time.time_ns(),
            **kept,
        )
        definitions.save(paths, made)
    events.write(paths, events.of_network(made.id, name, "create"))
    return made


def _bridge(options: dict[str, str], others: Sequence[Network]) -> str:
    """Return the name that *options* give to the bridge; StateError: the host or a network has such a link."""
    name = options.get(driver_options.LINK, "")
    if name and (interfaces.exists(name) or any(other.bridge == name for other in others)):
        cause = "the host or another network has a link with this name"
        raise StateError(f"--opt {driver_options.LINK}={name}", cause, "choose another")
    return name


def _subnets(request: NetworkOptions, others: Sequence[Network]) -> dict[str, str]:
    """Return the subnets and gateways of *request*, checked; choose those that are left out."""
    wanted = [_subnet(text) for text in request.subnets]
    by_version = {subnet.version: subnet for subnet in wanted}
    if len(by_version) < len(wanted):
        raise UsageError("--subnet", "bridge driver doesn't support multiple subnets", "one for IPv4, one for IPv6")
    taken = [*subnets.routed(), *(other.subnet for other in others if other.subnet and not other.is_predefined)]
    if 4 in by_version:
        _refuse_overlap(by_version[4], taken)
    else:
        by_version[4] = ipaddress.ip_network(_free(taken))
    if 6 in by_version:
        _refuse_overlap(by_version[6], [other.subnet6 for other in others if other.subnet6])
    elif request.ipv6:
        by_version[6] = _unique_local()
    gateways = _gateways(request.gateways, by_version.values())
    kept = {"subnet": str(by_version[4]), "gateway": gateways[4], "range": _range(request.ranges, by_version[4])}
    return kept | ({"subnet6": str(by_version[6]), "gateway6": gateways[6]} if 6 in by_version else {})


def _subnet(text: str) -> Subnet:
    try:
        found = ipaddress.ip_interface(text).network
    except ValueError as error:
        raise UsageError(f"--subnet {text}", f"invalid CIDR address: {text}", "write 172.18.0.0/16") from error
    if "/" not in text or str(found).partition("/")[0] != str(ipaddress.ip_address(text.partition("/")[0])):
        raise UsageError(f"--subnet {text}", f"invalid subnet {text}", f"it should be {found}")
    if found.num_addresses < 4:
        raise UsageError(f"--subnet {text}", "is too small for a gateway and a box", "the smallest is /30")
    return found


def _refuse_overlap(subnet: Subnet, taken: Iterable[str]) -> None:
    for other in taken:
        if subnet.overlaps(ipaddress.ip_network(other)):
            cause = f"Pool overlaps with other one on this address space: {other}"
            raise StateError(f"--subnet {subnet}", cause, "ip route and tinybox network inspect show used subnets")


def _free(taken: Sequence[str]) -> str:
    """Return the first of docker's default pools that overlaps no route of the host and no other network."""
    for pool in POOLS:
        if not any(subnets.overlap(pool, other) for other in taken):
            return pool
    cause = "could not find an available, non-overlapping IPv4 address pool among the defaults"
    raise StateError("network", cause, "name one with --subnet, or run tinybox network prune")


def _unique_local() -> ipaddress.IPv6Network:
    """Return a random unique local /64, which hardly any other network has; see RFC 4193."""
    number = int.from_bytes(b"\xfd" + os.urandom(5) + b"\0\0", "big") << 64
    return ipaddress.IPv6Network((number, 64))


def _gateways(wanted: Sequence[str], found: Iterable[Subnet]) -> dict[int, str]:
    gateways: dict[int, str] = {subnet.version: str(subnet[1]) for subnet in found}
    for text in wanted:
        try:
            gateway = ipaddress.ip_address(text)
        except ValueError as error:
            raise UsageError(f"--gateway {text}", f"invalid IP address: {text}", "write 172.18.0.1") from error
        subnet_of = next((subnet for subnet in found if gateway in subnet), None)
        if subnet_of is None:
            raise UsageError(f"--gateway {text}", f"no matching subnet for gateway {text}", "add its --subnet")
        if gateway in (subnet_of[0], subnet_of[-1]):
            raise UsageError(f"--gateway {text}", f"is the first or last address of {subnet_of}", "choose another")
        gateways[gateway.version] = str(gateway)
    return gateways


def _range(texts: Sequence[str], subnet: Subnet) -> str:
    """Return the part of the IPv4 *subnet* from which addresses are chosen; "" is all of it."""
    chosen = ""
    for text in texts:
        try:
            found = ipaddress.ip_network(text)
        except ValueError as error:
            cause = f"invalid CIDR address: {text}"
            raise UsageError(f"--ip-range {text}", cause, "write 172.18.5.0/24") from error
        if found.version != subnet.version or not (
            int(subnet[0]) <= int(found[0]) and int(found[-1]) <= int(subnet[-1])
        ):
            raise UsageError(f"--ip-range {text}", f"no matching subnet for range {text}", f"a part of {subnet}")
        chosen = str(found)
    if len(texts) > 1:
        raise UsageError(f"--ip-range {texts[1]}", "multiple overlapping ranges are not supported", "one of them")
    return chosen


def _reserved(wanted: dict[str, str], subnet: str) -> dict[str, str]:
    """Return the addresses of --aux-address, which no box gets, by the names of their devices."""
    for name, text in wanted.items():
        try:
            is_inside = ipaddress.ip_address(text) in ipaddress.ip_network(subnet)
        except ValueError as error:
            cause = f"invalid IP address: {text}"
            raise UsageError(f"--aux-address {name}={text}", cause, "router=172.18.0.5") from error
        if not is_inside:
            cause = f"no matching subnet for aux-address {text}"
            raise UsageError(f"--aux-address {name}={text}", cause, f"an address of {subnet}")
    return wanted


def remove(paths: Paths, word: str) -> str:
    """Remove the network with the name or id *word*, and return its name; StateError if a box is connected to it."""
    with definitions.NetworksLock(paths):
        try:
            network = definitions.find(paths, word)
        except DamagedError:
            return _remove_damaged(paths, word)
        if network.is_predefined:
            raise StateError(f"network {network.name}", "is a pre-defined network and cannot be removed")
        with pools.Pool(network.bridge) as pool:
            if pool.leases():
                pool.reclaim()
            if owners := sorted(set(pool.leases().values())):
                pairs = ", ".join(_described(paths, os.path.basename(owner)) for owner in owners)
                cure = f"tinybox network disconnect {network.name} CONTAINER"
                raise ConflictError(f"network {network.name}", f"has active endpoints ({pairs})", cure)
            definitions.remove(paths, network)
            pool.remove()
    events.write(paths, events.of_network(network.id, network.name, "destroy"))
    return network.name


def _remove_damaged(paths: Paths, name: str) -> str:
    """Remove the record of a network that cannot be read; StateError: a running box is in it."""
    members = [container for container, endpoint in users(paths) if endpoint.network == name]
    if members:
        pairs = ", ".join(_described(paths, container) for container in members)
        raise ConflictError(f"network {name}", f"has active endpoints ({pairs})", "stop them first")
    os.unlink(os.path.join(paths.networks, f"{name}.json"))
    return name


def _described(paths: Paths, container: str) -> str:
    name = "".join(naming.of(paths, container)[:1])
    return f'name:"{name}" id:"{container[:12]}"'


def users(paths: Paths) -> Iterator[tuple[str, addresses.Endpoint]]:
    """Yield the id of each container that has a run directory, with each of its endpoints."""
    for container in paths.with_run_directory():
        for endpoint in addresses.endpoints(paths, container):
            yield container, endpoint


def prune(paths: Paths, is_wanted: Callable[[Network], bool] = lambda _: True) -> list[str]:
    """Remove the networks to which no box is connected and for which *is_wanted* is true; return their names."""
    used = {endpoint.network for _, endpoint in users(paths)}
    removed = []
    for network in definitions.every(paths):
        if network.is_predefined or network.name in used or not is_wanted(network):
            continue
        try:
            removed.append(remove(paths, network.name))
        except StateError:
            continue  # a box has connected by now, or another command has removed the network
    events.write(paths, events.of_prune("network", 0))
    return removed
