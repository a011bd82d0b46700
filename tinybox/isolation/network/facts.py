"""What the kernel tells of a network namespace, asked over rtnetlink(7): links, addresses, routes, and who is where.

`network.facts` asks the questions; here the answers, messages with numbered attributes, become things with names.
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
    """One link: its *index* and *name*, the *peer* index of its other end, the bridge it is plugged into (*master*)."""

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
        """The link as ip-link(8) writes it: ``eth0@if12``."""
        return f"{self.name}@if{self.peer}" if self.peer else self.name


class Facts:
    """All of one network namespace; each list is in the kernel's order."""

    def __init__(self, links: Iterable[Any], addresses: Iterable[Any], routes: Iterable[Any]) -> None:
        self.links = [Link(message) for message in links]
        self.names = {link.index: link.name for link in self.links}
        self.addresses = [(message["index"], _address(message)) for message in addresses]
        self.routes = [route for message in routes if (route := self._route(message))]
        self.neighbours: list[tuple[int, str]] = []
        self.learned: list[tuple[int, str]] = []

    def _route(self, message: Any) -> tuple[int, str] | None:
        """Return (index, words) of a route to somewhere else, as ip-route(8) shows it; of others nothing."""
        target, way, index = (message.get_attr(f"RTA_{name}") for name in ("DST", "GATEWAY", "OIF"))
        if target and (target.startswith(("fe80:", "ff00:")) or message["type"] != 1):  # RTN_UNICAST
            return None
        place = f"{target}/{message['dst_len']}" if target else "default"
        return index or 0, f"{place} via {way}" if way else f"{place} direct"

    def add_neighbours(self, messages: Iterable[Any]) -> None:
        """Note which hardware address belongs to which address, as ARP has found out; see arp(7)."""
        for message in messages:
            if not message["state"] & NUD_NOARP and message.get_attr("NDA_LLADDR"):
                words = f"{message.get_attr('NDA_DST')} is at {message.get_attr('NDA_LLADDR')}"
                self.neighbours.append((message["ifindex"], f"{words} ({NUD.get(message['state'], 'permanent')})"))

    def add_learned(self, messages: Iterable[Any]) -> None:
        """Note behind which port a bridge has seen which hardware address; see fdb in bridge(8)."""
        for message in messages:
            if message.get_attr("NDA_MASTER") and not message["state"] & (NUD_PERMANENT | NUD_NOARP):
                self.learned.append((message["ifindex"], message.get_attr("NDA_LLADDR")))

    def of(self, index: int) -> list[str]:
        """Return the addresses of the link *index*, but for those of IPv6 that hold on the link alone."""
        return [address for number, address in self.addresses if number == index and not address.startswith("fe80:")]


def _address(message: Any) -> str:
    number = message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS")
    return f"{number}/{message['prefixlen']}"
