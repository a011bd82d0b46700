"""The state of a network namespace for `tinybox network show`: links, addresses, routes, ARP and bridge tables."""

from __future__ import annotations

import os

from tinybox.linux import process
from tinybox.linux.sockets import netlink, rtnetlink
from tinybox.linux.sockets.link_requests import RT_TABLE_MAIN, RTN_UNICAST

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinybox.linux.sockets.rtnetlink import Neighbour, Route

NUD_REACHABLE, NUD_PERMANENT, NUD_NOARP = 0x02, 0x80, 0x40  # linux/neighbour.h
NUD = {0x01: "incomplete", 0x02: "reachable", 0x04: "stale", 0x08: "delay", 0x10: "probe", 0x20: "failed"}


class Facts:
    """The state of this process's network namespace; each list is in the kernel's order."""

    def __init__(self) -> None:
        with netlink.NetlinkSocket(netlink.ROUTE) as kernel:
            self.links = rtnetlink.plain_links(kernel)
            self.names = {link.index: link.name for link in self.links}
            self.addresses = [(each.link, each.text) for each in rtnetlink.addresses(kernel)]
            self.routes = [
                (route.link, words)
                for route in rtnetlink.routes(kernel)
                if route.table == RT_TABLE_MAIN and (words := _way(route))
            ]
            self.neighbours = [
                (each.link, _known(each))
                for each in rtnetlink.neighbours(kernel)
                if each.mac and not each.state & NUD_NOARP
            ]
            self.learned = [  # the ports behind which a bridge has seen hardware addresses; see fdb in bridge(8)
                (each.link, each.mac)
                for each in rtnetlink.neighbours(kernel, rtnetlink.AF_BRIDGE)
                if each.master and not each.state & (NUD_PERMANENT | NUD_NOARP)
            ]

    def of(self, index: int) -> list[str]:
        """Return the addresses of the link *index*, without IPv6 link-local ones."""
        return [address for number, address in self.addresses if number == index and not address.startswith("fe80:")]


def _way(route: Route) -> str:
    """Return the words of a route to somewhere else, as ip-route(8) shows it; of others nothing."""
    if route.target and (route.target.startswith(("fe80:", "ff00:")) or route.kind != RTN_UNICAST):
        return ""
    place = route.target or "default"
    return f"{place} via {route.gateway}" if route.gateway else f"{place} direct"


def _known(neighbour: Neighbour) -> str:
    """Return which hardware address belongs to which address, as ARP has found out; see arp(7)."""
    return f"{neighbour.address} is at {neighbour.mac} ({NUD.get(neighbour.state, 'permanent')})"


def facts(namespace: int | None = None) -> Facts:
    """Ask the kernel about all links, addresses, routes and neighbours of *namespace*, or of our own network."""
    own = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    if namespace is not None:
        process.setns(namespace, process.CLONE_NEWNET)
    try:
        return Facts()
    finally:
        process.setns(own, process.CLONE_NEWNET)
        os.close(own)
