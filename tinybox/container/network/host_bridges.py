"""Host bridges: bridges, firewall (nft) and IP forwarding, which boxes share; they exist while a box needs them.

The address pools record which boxes those are, from all stores, because the bridges belong to the host. One process at
a time changes bridges, firewall and forwarding, under a lock. If that process is killed, the next one can repeat all
of its changes.
"""

from __future__ import annotations

import os

from tinybox import explain
from tinybox.container.network import addresses, link_remover, pools, published_ports, subnets
from tinybox.container.records import naming
from tinybox.errors import HostError, StepError
from tinybox.isolation.network import conntrack, firewall, interfaces
from tinybox.linux import user_namespaces
from tinybox.linux.filesystem.locks import lock_file
from tinybox.linux.sockets.nftables import Nftables

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Self

    from tinybox.container.network.addresses import Endpoint

UDP = 17  # see protocols(5)
FORWARDING = {4: "/proc/sys/net/ipv4/ip_forward", 6: "/proc/sys/net/ipv6/conf/all/forwarding"}


class HostBridges:
    """The host's side of all networks; the process in the ``with`` block holds the lock on the pools; see flock(2)."""

    def __init__(self) -> None:
        self.path = pools.folder()
        self._fd = -1

    def __enter__(self) -> Self:
        os.makedirs(self.path, 0o700, exist_ok=True)
        self._fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        os.set_inheritable(self._fd, True)  # the program nft(8), too, holds the lock: it goes on if tinybox is killed
        lock_file(self._fd)
        link_remover.finish(self.path)
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)

    def tidy(self) -> None:
        """Remove the pools of which no box has an address."""
        for bridge in self._pools():
            with pools.Pool(bridge) as pool:
                pool.remove()

    def _pools(self) -> list[str]:
        return [name for name in os.listdir(self.path) if not name.startswith(".")]

    def boxes(self, bridge: str = "") -> set[str]:
        """Return the run directories of all boxes with a living owner and an address on *bridge*, or on any bridge."""
        return {*self._alive(bridge)}

    def has_other(self, owner: str, bridge: str = "") -> bool:
        """Return whether `boxes` has another box than *owner*: the first one that is found is enough."""
        return next(self._alive(bridge, but=owner), "") != ""

    def _alive(self, bridge: str, but: str = "") -> Iterator[str]:
        """Yield the run directories of `boxes`, each once, without *but*."""
        seen = {but}
        for name in [bridge] if bridge else self._pools():
            for owner in _leases(f"{self.path}/{name}"):
                if owner not in seen:
                    seen.add(owner)
                    if pools.is_alive(owner):
                        yield owner

    def connect(self, owner: str, endpoints: list[Endpoint], namespace: int) -> None:
        """Make a box's veth pairs into the network *namespace* (an fd), and open the firewall for its ports."""
        with interfaces.Routes() as routes:
            for end in endpoints:
                self._refuse_overlap(end)
                host = ", ".join(_host_addresses(end))
                says = f"Make the bridge {end.bridge}, if it is missing; the host has {host} there"
                explain.report_part("bridge", says, "ip-link(8)")
                interfaces.ensure_bridge(routes, end.bridge, _host_addresses(end), end.mtu)
                says = f"Make a veth pair: {end.link} is a port of {end.bridge}, {end.interface} is in the box"
                explain.report_part("veth", says, "veth(4)")
                interfaces.plug(routes, end.link, end.bridge, namespace, end.interface, end.mac, end.mtu)
                interfaces.guard_port(routes, end.link, isolated=end.isolated)
        self._protect(owner, endpoints)
        _discard_datagrams(owner)
        for version in (4, 6):
            if any(not end.internal and (version == 4 or end.address6) for end in endpoints):
                says = f"Let the host forward packets of IPv{version} between its links, if it does not yet"
                explain.report_part("forwarding", says, "proc_sys_net(5)")
                self._forward(version)

    def _refuse_overlap(self, end: Endpoint) -> None:
        """Raise HostError if another store's bridge has addresses of this network: a route can lead to only one."""
        if interfaces.exists(end.bridge):
            return
        ours = self._pools()
        for link, subnet in subnets.by_link():
            if link in ours and link != end.bridge and subnets.overlap(subnet, end.address):
                cause = f"another store has a network with addresses of {subnet} on this host, the bridge {link}"
                raise HostError(f"network {end.network}", cause, "remove it and create it again with another --subnet")

    def _protect(self, owner: str, endpoints: list[Endpoint]) -> None:
        every = addresses.read(owner)
        explain.report_part("nat", _rules([*_bridges(endpoints), *_published(owner, every)]), "nft(8)")
        _open_loopback(owner, every)
        with Nftables() as nft:
            if self.has_other(owner) or len(every) > len(endpoints):
                try:
                    firewall.add(nft, [*_bridges(endpoints), *_published(owner, every)])
                except StepError:  # another program has flushed the ruleset: make all of it again
                    pass
                else:
                    return
            firewall.load(nft, _members_of([*self.boxes() - {owner}, owner]))

    def _forward(self, version: int) -> None:
        """Turn on IP forwarding; first note in a file if it was off; see ip_forward in the kernel's ip-sysctl."""
        if interfaces.parameter(FORWARDING[version]) == "0":
            os.close(os.open(f"{self.path}/.forwarding{version}", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
            interfaces.set_parameter(FORWARDING[version], "1")

    def disconnect(self, owner: str, endpoints: list[Endpoint], *, meanwhile: bool = False) -> None:
        """Undo `connect`, also one that was interrupted; *meanwhile*: a child removes the links, see link_remover.py.

        A bridge is removed with its last box, the firewall's table and forwarding with the last box of the host.
        """
        unused = {end.bridge for end in endpoints if not self.has_other(owner, end.bridge)}
        with Nftables() as nft:  # closed last: see there
            try:
                self._close_firewall(nft, owner, endpoints, unused)
            finally:
                links = [end.link for end in endpoints]
                if meanwhile:
                    link_remover.begin(self.path, unused, links, (self._fd, nft.socket))
                else:
                    link_remover.remove(unused, links)

    def _close_firewall(self, nft: Nftables, owner: str, endpoints: list[Endpoint], unused: set[str]) -> None:
        """Remove the rules of a box for these *endpoints* and for the bridges that are *unused* without it."""
        leaving = {end.network for end in endpoints}
        every = addresses.read(owner)
        rest = [end for end in every if end.network not in leaving]
        if not (rest or self.has_other(owner)):
            self._stop_forwarding()
            firewall.clear(nft)
            return
        idle = _bridges([end for end in endpoints if end.bridge in unused])
        others = self.boxes() - {owner} if idle else set()
        staying: list[firewall.Bridge | firewall.Published] = [*_sharing(idle, others), *_published(owner, rest)]
        try:
            firewall.exchange(nft, [*idle, *_published(owner, every)], staying)
        except StepError:  # another program has changed tinybox's table: make the remaining rules again
            firewall.load(nft, [*_members_of(self.boxes() - {owner}), *_members(owner, rest)])
        _open_loopback(owner, rest)

    def _stop_forwarding(self) -> None:
        """Turn IP forwarding off again if `_forward` found it off."""
        for version, path in FORWARDING.items():
            note = f"{self.path}/.forwarding{version}"
            if os.path.exists(note):
                interfaces.set_parameter(path, "0")
                os.unlink(note)


def _leases(pool: str) -> Iterator[str]:
    """Yield the run directories of the boxes with addresses of a *pool*; none if it has just been removed."""
    try:
        names = os.listdir(pool)
    except FileNotFoundError:
        return
    yield from (owner for name in names if name[0] != "." and (owner := naming.target(f"{pool}/{name}")))


def _host_addresses(end: Endpoint) -> list[str]:
    """Return the host's addresses on the bridge of *end*, with prefix lengths: they are the gateways."""
    pairs = ((end.gateway, end.address), (end.gateway6, end.address6))
    return [f"{gateway}/{address.partition('/')[2]}" for gateway, address in pairs if gateway and address]


def _members_of(owners: Iterable[str]) -> list[firewall.Bridge | firewall.Published]:
    return [each for owner in owners for each in _members(owner, addresses.read(owner))]


def _members(owner: str, endpoints: list[Endpoint]) -> list[firewall.Bridge | firewall.Published]:
    """Return all firewall entries of a box with these *endpoints*: its bridges and its published ports."""
    return [*_bridges(endpoints), *_published(owner, endpoints)]


def _bridges(endpoints: Iterable[Endpoint]) -> list[firewall.Bridge]:
    return [
        firewall.Bridge(
            end.bridge,
            (end.address, end.address6) if end.masquerade else (),
            internal=end.internal,
            talks=not end.isolated,
        )
        for end in endpoints
    ]


def _rules(members: Iterable[firewall.Bridge | firewall.Published]) -> str:
    """Return a sentence about what the firewall does for *members*: masquerading and published ports."""
    parts = []
    for member in members:
        if isinstance(member, firewall.Published):
            host = f"{member.host or '*'}:{member.port}/{member.protocol}"
            parts.append(f"the port {host} of the host leads to {member.box}:{member.inside}")
        elif member.subnets and not member.internal:
            parts.append(f"packets of {', '.join(member.subnets)} leave the host with its address (masquerade)")
        else:
            parts.append(f"nothing leaves {member.name}")
    return f"Write firewall rules: {'; '.join(parts)}"


def _sharing(idle: list[firewall.Bridge], others: Iterable[str]) -> list[firewall.Bridge]:
    """Return the bridges of *others* that share addresses with an *idle* bridge, whose firewall rules must stay.

    A bridge of another store can have the same addresses.
    """
    going = [subnet for bridge in idle for subnet in bridge.subnets if ":" not in subnet]
    ends = (end for owner in others if going for end in addresses.read(owner))
    return _bridges(end for end in ends if any(subnets.overlap(end.address, subnet) for subnet in going))


def _way_in(endpoints: Iterable[Endpoint]) -> Endpoint | None:
    """Return the first endpoint in a network that is not internal: published ports lead to it."""
    return next((end for end in endpoints if not end.internal), None)


def _published(owner: str, endpoints: Iterable[Endpoint]) -> list[firewall.Published]:
    """Return the firewall's entries for the published ports of a box, if these are all its *endpoints*."""
    way, found = _way_in(endpoints), []
    for place in (way.address, way.address6) if way else ():
        box = place.partition("/")[0]
        for port in published_ports.load(owner) or ():
            address = "" if user_namespaces.live else port["hostIp"]  # in the network of a home, slirp4netns has it
            if box and (not address or (":" in address) == (":" in box)):
                how = (address, port["hostPort"], port["protocol"], box, port["containerPort"])
                found.append(firewall.Published(*how))
    return found


def _discard_datagrams(owner: str) -> None:
    """Delete the kernel's tracked flows of datagrams (conntrack) to the box's published UDP ports.

    They lead to a former box, or to no box, and stay while datagrams keep coming. If the kernel cannot delete them,
    they expire later.
    """
    for port in published_ports.load(owner) or ():
        if port["protocol"] == "udp":
            try:
                conntrack.delete(UDP, port["hostPort"])
            except OSError:
                return


def _open_loopback(owner: str, endpoints: Iterable[Endpoint]) -> None:
    """Set route_localnet on the box's bridge, so that packets to a published port of 127.0.0.1 may leave by it.

    The setting belongs to the bridge, and is removed with it; see ip-sysctl.
    """
    way = _way_in(endpoints)
    if way is not None and published_ports.load(owner):
        interfaces.set_parameter(f"/proc/sys/net/ipv4/conf/{way.bridge}/route_localnet", "1")
