"""The state of a network namespace for `tinybox network show`: links, addresses, routes, ARP and bridge tables.

`interfaces.facts` requests it from the kernel over rtnetlink(7). The classes here turn the answers, messages with
numbered attributes, into objects with named fields.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

NUD_REACHABLE, NUD_PERMANENT, NUD_NOARP = 0x02, 0x80, 0x40  # linux/neighbour.h
NUD = {0x01: "incomplete", 0x02: "reachable", 0x04: "stale", 0x08: "delay", 0x10: "probe", 0x20: "failed"}
PORT_STATES = ("disabled", "listening", "learning", "forwarding", "blocking")  # linux/if_bridge.h


class Link:
    """A link: its *index*, its *name*, the index of its other end (*peer*), that of its bridge (*master*), and more.

    A number is 0, and a text is empty, if the link has no such property.
    """

    def __init__(self, message: Any) -> None:
        about = message.get_attr("IFLA_LINKINFO")
        port = about.get_attr("IFLA_INFO_SLAVE_DATA") if about else None
        self.index: int = message["index"]
        self.name: str = message.get_attr("IFLA_IFNAME")
        self.mac: str = message.get_attr("IFLA_ADDRESS") or ""
        self.mtu: int = message.get_attr("IFLA_MTU")
        self.state: str = str(message.get_attr("IFLA_OPERSTATE")).upper()
        self.peer: int = message.get_attr("IFLA_LINK") or 0
        self.master: int = message.get_attr("IFLA_MASTER") or 0
        self.kind: str = about.get_attr("IFLA_INFO_KIND") if about else ""
        self.port: str = PORT_STATES[port.get_attr("IFLA_BRPORT_STATE")] if port and self.master else ""

    @property
    def title(self) -> str:
        """The link's name as ip-link(8) prints it: ``eth0@if12``."""
        return f"{self.name}@if{self.peer}" if self.peer else self.name


class Facts:
    """The state of one network namespace; each list is in the kernel's order."""

    def __init__(self, links: Iterable[Any], addresses: Iterable[Any], routes: Iterable[Any]) -> None:
        self.links = [Link(message) for message in links]
        self.names = {link.index: link.name for link in self.links}
        self.addresses = [(message["index"], _address(message)) for message in addresses]
        self.routes = [route for message in routes if (route := self._route(message))]
        self.neighbours: list[tuple[int, str]] = []
        self.learned: list[tuple[int, str]] = []

    def _route(self, message: Any) -> tuple[int, str] | None:
        """Return (index of the link, text) of a unicast route, similar to ip-route(8); None for any other route."""
        target, way, index = (message.get_attr(f"RTA_{name}") for name in ("DST", "GATEWAY", "OIF"))
        if target and (target.startswith(("fe80:", "ff00:")) or message["type"] != 1):  # RTN_UNICAST
            return None
        place = f"{target}/{message['dst_len']}" if target else "default"
        return index or 0, f"{place} via {way}" if way else f"{place} direct"

    def add_neighbours(self, messages: Iterable[Any]) -> None:
        """Add the entries of the ARP and neighbour tables: the hardware address of each known address; see arp(7)."""
        for message in messages:
            if not message["state"] & NUD_NOARP and message.get_attr("NDA_LLADDR"):
                text = f"{message.get_attr('NDA_DST')} is at {message.get_attr('NDA_LLADDR')}"
                self.neighbours.append((message["ifindex"], f"{text} ({NUD.get(message['state'], 'permanent')})"))

    def add_learned(self, messages: Iterable[Any]) -> None:
        """Add the hardware addresses that bridges have learned, each with its port's link; see fdb in bridge(8)."""
        for message in messages:
            if message.get_attr("NDA_MASTER") and not message["state"] & (NUD_PERMANENT | NUD_NOARP):
                self.learned.append((message["ifindex"], message.get_attr("NDA_LLADDR")))

    def of(self, index: int) -> list[str]:
        """Return the addresses of the link *index*, without IPv6 link-local ones."""
        return [address for number, address in self.addresses if number == index and not address.startswith("fe80:")]


def _address(message: Any) -> str:
    number = message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS")
    return f"{number}/{message['prefixlen']}"
