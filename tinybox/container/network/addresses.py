"""Addresses: which box has which, never one address for two; and all that one end of a box's cable is known by.

A lease is a link, /run/tinybox-networks/NETNS/BRIDGE/ADDRESS, that points to the live directory of the box's owner: it
belongs to whoever could make the link. Bridges are the host's, so all stores share these pools; and who can take the
owner's lock knows that the owner has died, and the address is free.
"""

from __future__ import annotations

import os

from tinybox.container.network import definitions, subnets
from tinybox.container.records import naming, state
from tinybox.errors import HostError, StateError, UsageError
from tinybox.isolation.network import interfaces as links
from tinybox.linux import files, ownership
from tinybox.linux import quick_json as json
from tinybox.linux.locks import lock_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Self, TypedDict

    from tinybox.container.network.definitions import Network
    from tinybox.container.records.paths import Paths

    class EndpointRequest(TypedDict, total=False):
        """A place in a network as it is asked for: what is left out, or empty, is chosen."""

        name: str
        aliases: list[str]
        address: str
        address6: str
        mac: str


POOLS = "/run/tinybox-networks"
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


class Pool:
    """The addresses of one bridge of this host, in the hands of one process at a time; see flock(2)."""

    def __init__(self, bridge: str) -> None:
        self.path = f"{folder()}/{bridge}"
        self._fd = -1

    def __enter__(self) -> Self:
        while True:
            os.makedirs(self.path, 0o700, exist_ok=True)
            try:
                self._fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            except FileNotFoundError:
                continue
            lock_file(self._fd)
            if os.fstat(self._fd).st_nlink:
                return self
            os.close(self._fd)  # it has been removed with its network, just before we had the lock

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)

    def leases(self) -> dict[str, str]:
        """Return who has which address: address to live directory."""
        return {name: self.link(name) for name in os.listdir(self.path) if not name.startswith(".")}

    def link(self, name: str) -> str:
        """Return what the link *name* says, or nothing."""
        return naming.target(os.path.join(self.path, name))

    def note(self, name: str, text: str) -> None:
        """Write *text* down as the link *name*, over a former one; see rename(2)."""
        path = os.path.join(self.path, name)
        naming.discard(f"{path}.new")
        os.symlink(text, f"{path}.new")
        os.rename(f"{path}.new", path)

    def give(self, address: str, owner: str) -> None:
        """Write down that *address* is *owner*'s, in one step; see symlink(2)."""
        os.symlink(owner, os.path.join(self.path, address))

    def release(self, address: str, owner: str) -> None:
        """Free *address*, if it is *owner*'s."""
        if self.link(address) == owner:
            os.unlink(os.path.join(self.path, address))

    def reclaim(self) -> None:
        """Free what belongs to the dead."""
        for address, owner in self.leases().items():
            if not is_alive(owner):
                self.release(address, owner)

    def remove(self) -> None:
        """Remove the pool of a network that goes; one with leases stays, see rmdir(2)."""
        if not self.leases():
            for name in os.listdir(self.path):
                naming.discard(os.path.join(self.path, name))
        state.remove_empty(self.path)


def folder() -> str:
    """Return where the pools of this network namespace are; see network_namespaces(7)."""
    ownership.check(POOLS)
    return f"{POOLS}/{os.stat('/proc/self/ns/net').st_ino}"


def is_alive(owner: str) -> bool:
    """Tell whether somebody owns the container whose live directory this is: he holds its lock; see flock(2)."""
    try:
        return files.is_locked(os.path.join(owner, "lock"))
    except (FileNotFoundError, NotADirectoryError):
        return False


def lease(paths: Paths, network: Network, container: str, want: EndpointRequest) -> Endpoint:
    """Give *container*, which the caller owns or knows to be owned, its place in *network*; StateError if it is full.

    It is written down in the live directory first, then taken: so whoever buries the container knows what to free.
    """
    owner, others = paths.run_directory(container), endpoints(paths, container)
    with Pool(network.bridge) as pool:
        if network.name == definitions.BRIDGE:
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
    with open(f"{path}.new", "w", encoding="utf-8") as file:
        json.dump([vars(endpoint) for endpoint in found], file)
    os.rename(f"{path}.new", path)
