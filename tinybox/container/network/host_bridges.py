"""The switchboard: bridges, firewall and forwarding, which boxes share; here it is decided when they come and go.

They are there while any box needs them. Who that is say the pools of addresses: of all stores, for the bridges are the
host's. One process at a time changes anything, and what it does can be done again by the next one, if it is killed.
"""

from __future__ import annotations

import os

from tinybox.container.network import addresses, pools, published_ports, subnets
from tinybox.container.records import naming
from tinybox.errors import HostError, StepError
from tinybox.isolation.network import conntrack, firewall, interfaces, removal
from tinybox.linux.locks import lock_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Self

    from tinybox.container.network.addresses import Endpoint

UDP = 17  # see protocols(5)
FORWARDING = {4: "/proc/sys/net/ipv4/ip_forward", 6: "/proc/sys/net/ipv6/conf/all/forwarding"}


class HostBridges:
    """The host's side of all networks, in the hands of one process at a time; see flock(2)."""

    def __init__(self) -> None:
        self.path = pools.folder()
        self._fd = -1

    def __enter__(self) -> Self:
        os.makedirs(self.path, 0o700, exist_ok=True)
        self._fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        os.set_inheritable(self._fd, True)  # nft(8) holds the lock with us: were we killed, it would still be at work
        lock_file(self._fd)
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)

    def tidy(self) -> None:
        """Remove the pools that nobody has an address of."""
        for bridge in self._pools():
            with pools.Pool(bridge) as pool:
                pool.remove()

    def _pools(self) -> list[str]:
        return [name for name in os.listdir(self.path) if not name.startswith(".")]

    def boxes(self, bridge: str = "") -> set[str]:
        """Return the live directories of all boxes with an address, on *bridge* or anywhere, whose owners live."""
        holders = {
            owner for name in ([bridge] if bridge else self._pools()) for owner in _leases(f"{self.path}/{name}")
        }
        return {owner for owner in holders if pools.is_alive(owner)}

    def connect(self, owner: str, endpoints: list[Endpoint], namespace: int, messages: interfaces.Messages) -> None:
        """Lay the cables of a box with the network *namespace*, and open the firewall for its ports."""
        with interfaces.Routes(messages) as routes:
            for end in endpoints:
                self._refuse_rival(end)
                interfaces.ensure_bridge(routes, end.bridge, _of_the_host(end), end.mtu)
                interfaces.plug(routes, end.link, end.bridge, namespace, end.interface, end.mac, end.mtu)
        self._protect(owner, endpoints)
        _forget_datagrams(owner)
        for version in (4, 6):
            if any(not end.internal and (version == 4 or end.address6) for end in endpoints):
                self._forward(version)

    def _refuse_rival(self, end: Endpoint) -> None:
        """Raise HostError if another store's bridge has addresses of this network: neither could be reached by them."""
        if interfaces.exists(end.bridge):
            return
        ours = self._pools()
        for link, subnet in subnets.by_link():
            if link in ours and link != end.bridge and subnets.overlap(subnet, end.address):
                cause = f"another store has a network with addresses of {subnet} on this host, the bridge {link}"
                raise HostError(f"network {end.network}", cause, "create it anew with another --subnet")

    def _protect(self, owner: str, endpoints: list[Endpoint]) -> None:
        every = addresses.read(owner)
        _open_loopback(owner, every)
        others = self.boxes() - {owner}
        if others or len(every) > len(endpoints):
            try:
                firewall.add([*_bridges(endpoints), *_published(owner, every)])
            except StepError:  # somebody has flushed the ruleset: make all of it anew
                pass
            else:
                return
        firewall.load(_members_of([*others, owner]))

    def _forward(self, version: int) -> None:
        """Let the host pass packets on between its links; that it did not is noted first; see ip_forward, ip-sysctl."""
        if interfaces.parameter(FORWARDING[version]) == "0":
            os.close(os.open(f"{self.path}/.forwarding{version}", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
            interfaces.set_parameter(FORWARDING[version], "1")

    def disconnect(self, owner: str, endpoints: list[Endpoint]) -> None:
        """Take back what `connect` did, as far as it got: a bridge goes with its last box, the table with the last."""
        leaving = {end.network for end in endpoints}
        every = addresses.read(owner)
        rest = [end for end in every if end.network not in leaving]
        others = self.boxes() - {owner}
        unused = {end.bridge for end in endpoints if not self.boxes(end.bridge) - {owner}}
        if others or rest:
            idle = _bridges([end for end in endpoints if end.bridge in unused])
            staying: list[firewall.Bridge | firewall.Published] = [*_sharing(idle, others), *_published(owner, rest)]
            closing = firewall.exchange([*idle, *_published(owner, every)], staying)
        else:
            closing = firewall.clear()
        for bridge in unused:
            removal.remove_bridge(bridge)
        for end in endpoints:
            removal.remove_link(end.link)
        if not (others or rest):
            self._forward_no_longer()
        try:
            closing.end()
        except StepError:  # somebody has changed what is ours: make anew what is to stay
            if not (others or rest):
                raise
            firewall.load([*_members_of(others), *_members(owner, rest)])
        _open_loopback(owner, rest)

    def _forward_no_longer(self) -> None:
        """Put back what `_forward` found."""
        for version, path in FORWARDING.items():
            note = f"{self.path}/.forwarding{version}"
            if os.path.exists(note):
                interfaces.set_parameter(path, "0")
                os.unlink(note)


def _leases(pool: str) -> list[str]:
    """Return who has the addresses of a *pool*; none if it has just gone."""
    try:
        names = os.listdir(pool)
    except FileNotFoundError:
        return []
    return [owner for name in names if name[0] != "." and (owner := naming.target(f"{pool}/{name}"))]


def _of_the_host(end: Endpoint) -> list[str]:
    """Return the addresses that the host has on the bridge of *end*, with their prefixes: those of the gateways."""
    pairs = ((end.gateway, end.address), (end.gateway6, end.address6))
    return [f"{gateway}/{address.partition('/')[2]}" for gateway, address in pairs if gateway and address]


def _members_of(owners: Iterable[str]) -> list[firewall.Bridge | firewall.Published]:
    return [each for owner in owners for each in _members(owner, addresses.read(owner))]


def _members(owner: str, endpoints: list[Endpoint]) -> list[firewall.Bridge | firewall.Published]:
    """Return all that the firewall must know of a box, if these are its *endpoints*."""
    return [*_bridges(endpoints), *_published(owner, endpoints)]


def _bridges(endpoints: Iterable[Endpoint]) -> list[firewall.Bridge]:
    return [firewall.Bridge(end.bridge, (end.address, end.address6), internal=end.internal) for end in endpoints]


def _sharing(idle: list[firewall.Bridge], others: Iterable[str]) -> list[firewall.Bridge]:
    """Return the bridges of *others* with addresses of one that goes, as another store's can have: these stay."""
    going = [subnet for bridge in idle for subnet in bridge.subnets if ":" not in subnet]
    ends = (end for owner in others if going for end in addresses.read(owner))
    return _bridges(end for end in ends if any(subnets.overlap(end.address, subnet) for subnet in going))


def _way_in(endpoints: Iterable[Endpoint]) -> Endpoint | None:
    """Return the first place that leads out of its network: it leads into the box as well."""
    return next((end for end in endpoints if not end.internal), None)


def _published(owner: str, endpoints: Iterable[Endpoint]) -> list[firewall.Published]:
    """Return where the published ports of a box lead to, if these are all its *endpoints*."""
    way, found = _way_in(endpoints), []
    for place in (way.address, way.address6) if way else ():
        box = place.partition("/")[0]
        for port in published_ports.load(owner) or ():
            if box and (not port["hostIp"] or (":" in port["hostIp"]) == (":" in box)):
                how = (port["hostIp"], port["hostPort"], port["protocol"], box, port["containerPort"])
                found.append(firewall.Published(*how))
    return found


def _forget_datagrams(owner: str) -> None:
    """Have the kernel forget who has sent datagrams to our ports: they came to a former box, or to nobody.

    It would go on leading them there while they keep coming. A kernel that cannot be told forgets by itself, later.
    """
    for port in published_ports.load(owner) or ():
        if port["protocol"] == "udp":
            try:
                conntrack.delete(UDP, port["hostPort"])
            except OSError:
                return


def _open_loopback(owner: str, endpoints: Iterable[Endpoint]) -> None:
    """Let what came to a published port of 127.0.0.1 leave by a bridge: a switch of the bridge, that goes with it."""
    way = _way_in(endpoints)
    if way is not None and published_ports.load(owner):
        interfaces.set_parameter(f"/proc/sys/net/ipv4/conf/{way.bridge}/route_localnet", "1")
