"""network show: draw a network as text, with the host's bridge and links on the left and its boxes on the right.

Everything is read from the kernel at that moment: the host's side in the host's network namespace, each box's side in
its own.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from tinybox.container.network import making
from tinybox.container.network import published_ports as ports
from tinybox.container.records import naming, state
from tinybox.errors import StateError
from tinybox.isolation.network import facts as of_kernel
from tinybox.isolation.network import firewall
from tinybox.isolation.rootless import home_network
from tinybox.linux import user_namespaces
from tinybox.wrapping import columns, wrapped

if TYPE_CHECKING:
    from tinybox.container.network.addresses import Endpoint
    from tinybox.container.network.definitions import Network
    from tinybox.container.network.published_ports import Port
    from tinybox.container.records.paths import Paths
    from tinybox.isolation.network.facts import Facts
    from tinybox.linux.sockets.rtnetlink import Link

WIDTH = columns()  # read once, when the command begins
LEFT = max(WIDTH - 48, 42)  # columns of the host's side
SWITCHES = ("net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding", "net/ipv4/conf/{bridge}/route_localnet")


class Box:
    """One box on the network: its name, its endpoint, its published ports, and the kernel's facts about its side."""

    def __init__(self, name: str, end: Endpoint, facts: Facts, published: list[Port]) -> None:
        self.name, self.end, self.facts, self.published = name, end, facts, published
        self.link: Link | None = next((link for link in facts.links if link.name == end.interface), None)

    def lines(self) -> list[str]:
        """Return the lines of the box's side: its end of the veth pair, addresses, routes and neighbours."""
        if self.link is None:
            return [f"{self.name}: {self.end.interface} is gone"]
        index = self.link.index
        return [
            f"{index}: {self.link.title}   {self.name}",
            *(f"   {address}" for address in self.facts.of(index)),
            f"   {self.link.mac}",
            *(f"   {route}" for number, route in self.facts.routes if number == index),
            *(f"   {words}" for number, words in self.facts.neighbours if number == index),
            *(f"   {ports.inside(port)} is {ports.outside(port)} of the host" for port in self.published),
        ]


def drawn(paths: Paths, network: Network) -> list[str]:
    """Return the lines of the picture of *network*; StateError if networks of this kind have no bridge."""
    if not network.bridge:
        raise StateError(f"network {network.name}", "has no bridge", "tinybox network show bridge")
    none = [_title(network), "", "No box is on it, so there is no bridge now."]
    if user_namespaces.live and not home_network.is_entered():  # the network of the home is gone with its last box
        return none
    facts = of_kernel.facts()
    bridge = next((link for link in facts.links if link.name == network.bridge), None)
    if bridge is None:
        return none
    boxes = _boxes(paths, network)
    lines = [_title(network), "", f"{'HOST':<{LEFT}}BOX", "─" * WIDTH]
    lines += [f"{bridge.index}: {bridge.title}   bridge, {bridge.state}, mtu {bridge.mtu}"]
    lines += [f"   {address}" for address in facts.of(bridge.index)] + [f"   {bridge.mac}"]
    ports = [link for link in facts.links if link.master == bridge.index]
    for port in ports:
        lines += _port(facts, port, boxes.get(port.name), last=port is ports[-1])
    return [*(line.rstrip() for line in lines), *_below(facts, bridge)]


def _title(network: Network) -> str:
    subnets = " and ".join(subnet for subnet in (network.subnet, network.subnet6) if subnet)
    return f"network {network.name}, {subnets}" + ", internal" * network.internal


def _boxes(paths: Paths, network: Network) -> dict[str, Box]:
    """Return the boxes on the network by the names of their links on the host; skip a box that has just ended."""
    found = {}
    for container, end in making.users(paths):
        if end.id == network.id:
            try:
                namespace = os.open(f"/proc/{state.read(paths, container)['pid']}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            except (FileNotFoundError, StateError, KeyError):
                continue
            try:
                name = "".join(naming.of(paths, container)[:1]) or container[:12]
                found[end.link] = Box(
                    name, end, of_kernel.facts(namespace), ports.chosen(paths.run_directory(container), {})
                )
            finally:
                os.close(namespace)
    return found


def _port(facts: Facts, port: Link, box: Box | None, *, last: bool) -> list[str]:
    """Draw one port of the bridge, and the veth pair that leads from it to the box on the right."""
    corner, side = ("└─", "  ") if last else ("├─", "│ ")
    host = [f"   {corner} {port.index}: {port.title}  {port.port}"]
    host += [f"   {side}    {port.mac}"]
    host += [f"   {side}    learned: {mac}" for number, mac in facts.learned if number == port.index]
    lines = box.lines() if box else ["a box of another store"]
    right = [part for line in lines for part in wrapped(line, WIDTH - LEFT, " " * 5)]
    rows = max(len(host), len(right))
    host += [f"   {side}"] * (rows - len(host))
    pairs = zip(host, right + [""] * (rows - len(right)), strict=True)
    (first, opposite), *rest = pairs
    cable = f"{first} ".ljust(LEFT - 1, "═") + f" {opposite}"
    return [f"   {'│'}", cable, *(f"{left:<{LEFT}}{text}" for left, text in rest)]


def _below(facts: Facts, bridge: Link) -> list[str]:
    """Return the lines about the host's routing: its routes, its settings in /proc/sys, and its firewall rules."""
    lines = ["─" * WIDTH, "The host's routes"]
    routes = [f"   {route}  by {facts.names.get(index, '?')}" for index, route in facts.routes if index]
    lines += [part for route in routes for part in wrapped(route, WIDTH, " " * 5)]
    lines += ["The host's switches, in /proc/sys"]
    for path in (switch.format(bridge=bridge.name) for switch in SWITCHES):
        with open(f"/proc/sys/{path}", encoding="utf-8") as file:
            lines.append(f"   {path} = {file.read().strip()}")
    lines += ["The firewall, table inet tinybox: rules, and the packets that they have met"]
    for chain, rule in firewall.counted():
        lines += _rule(chain, rule)
    return lines


def _rule(chain: str, rule: str) -> list[str]:
    """Return the lines of one firewall rule, with the number of packets that it has matched in front."""
    packets = re.search(r"counter packets (\d+) bytes \d+ ?", rule)
    count = packets[1] if packets else "?"
    plain = rule.replace(packets[0], "") if packets else rule
    asked, _, comment = plain.partition(" comment ")
    noted = f"   # {comment.strip(chr(34))}" if comment else ""
    return wrapped(f"   {count:>7}  {chain:<9} {asked}{noted}", WIDTH, " " * 22)
