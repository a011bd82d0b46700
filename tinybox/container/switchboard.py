"""The switchboard: bridges, firewall and forwarding, which boxes share; here it is decided when they come and go.

They are there while any box needs them. Who that is say the pools of addresses: of all stores, for the bridges are the
host's. One process at a time changes anything, and what it does can be done again by the next one, if it is killed.
"""

from __future__ import annotations

import fcntl
import json
import os

from tinybox.container import addresses, naming
from tinybox.errors import StepError
from tinybox.isolation import firewall, network

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Self

    from tinybox.container.addresses import Endpoint
    from tinybox.container.ports import Port

PORTS = "ports.json"  # in a container's live directory: its published ports, with the host's side as it was chosen
FORWARDING = {4: "/proc/sys/net/ipv4/ip_forward", 6: "/proc/sys/net/ipv6/conf/all/forwarding"}


class Switchboard:
    """The host's side of all networks, in the hands of one process at a time; see flock(2)."""

    def __init__(self) -> None:
        self.path = addresses.folder()
        self._fd = -1

    def __enter__(self) -> Self:
        os.makedirs(self.path, 0o700, exist_ok=True)
        self._fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        os.set_inheritable(self._fd, True)  # nft(8) holds the lock with us: were we killed, it would still be at work
        fcntl.flock(self._fd, fcntl.LOCK_EX)
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)

    def tidy(self) -> None:
        """Remove the pools that nobody has an address of."""
        for bridge in self._pools():
            with addresses.Pool(bridge) as pool:
                pool.remove()

    def _pools(self) -> list[str]:
        return [name for name in os.listdir(self.path) if not name.startswith(".")]

    def boxes(self, bridge: str = "") -> set[str]:
        """Return the live directories of all boxes with an address, on *bridge* or anywhere, whose owners live."""
        holders = {
            owner for name in ([bridge] if bridge else self._pools()) for owner in _leases(f"{self.path}/{name}")
        }
        return {owner for owner in holders if addresses.is_alive(owner)}

    def connect(self, owner: str, endpoints: list[Endpoint], namespace: int, messages: network.Messages) -> None:
        """Lay the cables of a box with the network *namespace*, and open the firewall for its ports."""
        with network.Routes(messages) as routes:
            for end in endpoints:
                network.ensure_bridge(routes, end.bridge, _of_the_host(end), end.mtu)
                network.plug(routes, end.link, end.bridge, namespace, end.interface, end.mac, end.mtu)
        self._protect(owner, endpoints)
        for version in (4, 6):
            if any(not end.internal and (version == 4 or end.address6) for end in endpoints):
                self._forward(version)

    def _protect(self, owner: str, endpoints: list[Endpoint]) -> None:
        if load_ports(
            owner
        ):  # what came to 127.0.0.1 leaves by a bridge; this switch is the bridge's, and goes with it
            network.set_parameter(f"/proc/sys/net/ipv4/conf/{endpoints[0].bridge}/route_localnet", "1")
        others = self.boxes() - {owner}
        if others:
            try:
                firewall.add(_members(owner, endpoints))
            except StepError:  # somebody has flushed the ruleset: make all of it anew
                pass
            else:
                return
        firewall.load(_members_of([*others, owner]))

    def _forward(self, version: int) -> None:
        """Let the host pass packets on between its links, and note it if it did not; see ip_forward in ip-sysctl."""
        if network.set_parameter(FORWARDING[version], "1") == "0":
            os.close(os.open(f"{self.path}/.forwarding{version}", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))

    def disconnect(self, owner: str, endpoints: list[Endpoint]) -> None:
        """Take back what `connect` did, as far as it got: a bridge goes with its last box, the table with the last."""
        stays = len(addresses.read(owner)) > len(endpoints)  # it leaves one of its networks
        others = self.boxes() if stays else self.boxes() - {owner}
        unused = {end.bridge for end in endpoints if not self.boxes(end.bridge) - {owner}}
        closing = self._begin_to_close(owner, endpoints, unused) if others else firewall.clear()
        for link in (*(end.link for end in endpoints), *unused):  # the kernel takes its time over each
            network.remove_link(link)
        try:
            closing.end()
        except StepError:  # somebody has changed what is ours: make anew what is to stay
            if not others:
                raise
            firewall.load(_members_of(others))
        if not others:
            self._forward_no_longer()

    def reload(self) -> None:
        """Make the firewall anew, for all boxes as they are connected now: a box has left one of its networks."""
        firewall.load(_members_of(self.boxes()))

    @staticmethod
    def _begin_to_close(owner: str, endpoints: list[Endpoint], unused: set[str]) -> firewall.Transaction:
        """Close the firewall for what goes: the box's ports, and the bridges that nobody else is on."""
        still_used = {end.bridge for end in endpoints} - unused
        gone = [each for each in _members(owner, endpoints) if getattr(each, "name", "") not in still_used]
        return firewall.remove(gone)

    def _forward_no_longer(self) -> None:
        """Put back what `_forward` found."""
        for version, path in FORWARDING.items():
            try:
                os.unlink(f"{self.path}/.forwarding{version}")
            except FileNotFoundError:
                continue
            network.set_parameter(path, "0")


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
    """Return what the firewall must know of a box: its bridges, and its ports at its first address that leads out."""
    bridges = [firewall.Bridge(end.bridge, (end.address, end.address6), internal=end.internal) for end in endpoints]
    published = []
    outward = [end for end in endpoints if not end.internal][:1]
    places = [place for end in outward for place in (end.address, end.address6)]
    for port in load_ports(owner):
        for place in places:
            box = place.partition("/")[0]
            if box and (not port["hostIp"] or (":" in port["hostIp"]) == (":" in box)):
                how = (port["hostIp"], port["hostPort"], port["protocol"], box, port["containerPort"])
                published.append(firewall.Published(*how))
    return [*bridges, *published]


def load_ports(owner: str) -> list[Port]:
    """Return the published ports of the box with the live directory *owner*."""
    try:
        with open(os.path.join(owner, PORTS), encoding="utf-8") as file:
            found: list[Port] = json.load(file)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return []
    return found


def save_ports(owner: str, ports: list[Port]) -> None:
    """Write them down there."""
    with open(os.path.join(owner, PORTS), "w", encoding="utf-8") as file:
        file.write(json.dumps(ports))
