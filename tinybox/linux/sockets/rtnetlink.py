"""Read the links of this network namespace, their addresses, routes and neighbours from the kernel, as ip(8) does.

Each kind of object has a struct of its own before its attributes. See rtnetlink(7); netlink.py has the messages.
"""

from __future__ import annotations

import _socket
import struct

from tinybox.linux.sockets import netlink
from tinybox.linux.sockets.link_requests import (
    ADDRESS,
    IFA_ADDRESS,
    IFA_LOCAL,
    IFF_UP,
    IFLA_ADDRESS,
    IFLA_IFNAME,
    IFLA_INFO_KIND,
    IFLA_INFO_SLAVE_DATA,
    IFLA_INFO_SLAVE_KIND,
    IFLA_LINKINFO,
    IFLA_MASTER,
    IFLA_MTU,
    LINK,
    ROUTE,
    RTA_GATEWAY,
    RTM_NEWADDR,
    RTM_NEWLINK,
    RTM_NEWROUTE,
)
from tinybox.linux.sockets.netlink import attributes, number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

RTM_GETLINK, RTM_GETADDR, RTM_GETROUTE, RTM_NEWNEIGH, RTM_GETNEIGH = 18, 22, 26, 28, 30
IFLA_LINK, IFLA_OPERSTATE, IFLA_BRPORT_STATE = 5, 16, 1
RTA_DST, RTA_OIF, RTA_TABLE = 1, 4, 15
NDA_DST, NDA_LLADDR, NDA_MASTER = 1, 2, 9
RT_SCOPE_LINK = 253
AF_BRIDGE = 7
STATES = ("UNKNOWN", "NOTPRESENT", "DOWN", "LOWERLAYERDOWN", "TESTING", "DORMANT", "UP")  # IF_OPER_* of linux/if.h
PORT_STATES = ("disabled", "listening", "learning", "forwarding", "blocking")  # linux/if_bridge.h

_NEIGHBOUR = struct.Struct("=BxxxiHBB")  # family, index, state, flags, type: struct ndmsg


class Link:
    """A link: its *index* in the namespace, its *name*, whether it is *up*, and its *addresses* as ``10.0.0.2/24``.

    Only `links` reads the addresses. *peer* is the index of the other end, *master* that of the link's bridge, *port*
    the link's state as a port of that bridge. A number is 0, and a text is empty, if the link has no such property.
    """

    def __init__(self, index: int, flags: int, parts: dict[int, bytes]) -> None:
        about = attributes(parts.get(IFLA_LINKINFO, b""))
        self.index, self.up = index, bool(flags & IFF_UP)
        self.name = _word(parts[IFLA_IFNAME])
        self.mac = parts.get(IFLA_ADDRESS, b"").hex(":")
        self.mtu = number(parts.get(IFLA_MTU, b""))
        self.state = _named(STATES, parts.get(IFLA_OPERSTATE, b""))
        self.peer = number(parts.get(IFLA_LINK, b""))
        self.master = number(parts.get(IFLA_MASTER, b""))
        self.kind = _word(about.get(IFLA_INFO_KIND, b""))
        in_bridge = self.master and _word(about.get(IFLA_INFO_SLAVE_KIND, b"")) == "bridge"
        port = attributes(about.get(IFLA_INFO_SLAVE_DATA, b"")) if in_bridge else {}
        self.port = _named(PORT_STATES, port[IFLA_BRPORT_STATE]) if IFLA_BRPORT_STATE in port else ""
        self.addresses: list[str] = []

    @property
    def title(self) -> str:
        """The link's name as ip-link(8) prints it: ``eth0@if12``."""
        return f"{self.name}@if{self.peer}" if self.peer else self.name


class Address:
    """An address of the *link* with this index, as ``10.0.0.2/24``, and its *scope*; see ip-address(8)."""

    def __init__(self, link: int, text: str, scope: int) -> None:
        self.link, self.text, self.scope = link, text, scope


class Route:
    """A route over the *link* with this index to *target*, ``10.0.0.0/24`` (empty: default), by *gateway*, if any."""

    def __init__(self, link: int, target: str, gateway: str, kind: int, table: int) -> None:
        self.link, self.target, self.gateway, self.kind, self.table = link, target, gateway, kind, table


class Neighbour:
    """The *mac* of an *address* on a *link*; of a bridge: a *mac* that *master* has seen behind its port *link*."""

    def __init__(self, link: int, state: int, address: str, mac: str, master: int) -> None:
        self.link, self.state, self.address, self.mac, self.master = link, state, address, mac, master


def plain_links(kernel: netlink.NetlinkSocket) -> list[Link]:
    """Return the links of this namespace, without their addresses; see rtnetlink(7)."""
    return [Link(fields[2], fields[3], parts) for fields, parts in _dump(kernel, RTM_GETLINK, RTM_NEWLINK, LINK)]


def addresses(kernel: netlink.NetlinkSocket) -> list[Address]:
    """Return all addresses in this namespace; see rtnetlink(7)."""
    found = []
    for (family, length, _, scope, index), parts in _dump(kernel, RTM_GETADDR, RTM_NEWADDR, ADDRESS):
        own = parts.get(IFA_LOCAL) or parts.get(IFA_ADDRESS)  # point to point: IFA_ADDRESS is the peer
        if own:
            found.append(Address(index, f"{_socket.inet_ntop(family, own)}/{length}", scope))
    return found


def address_parts(kernel: netlink.NetlinkSocket) -> list[tuple[tuple[int, ...], dict[int, bytes]]]:
    """Return all addresses of this namespace: the fields of struct ifaddrmsg, and the attributes; rtnetlink(7)."""
    return list(_dump(kernel, RTM_GETADDR, RTM_NEWADDR, ADDRESS))


def links() -> list[Link]:
    """Return the links of this namespace, with all addresses except those of scope link; see rtnetlink(7)."""
    with netlink.NetlinkSocket(netlink.ROUTE) as kernel:
        found = {link.index: link for link in plain_links(kernel)}
        for address in addresses(kernel):
            if address.scope != RT_SCOPE_LINK and address.link in found:
                found[address.link].addresses.append(address.text)
    return list(found.values())


def routes(kernel: netlink.NetlinkSocket) -> list[Route]:
    """Return the routes of IPv4 and IPv6 in this namespace, of all tables; see rtnetlink(7)."""
    found = []
    for fields, parts in _dump(kernel, RTM_GETROUTE, RTM_NEWROUTE, ROUTE):
        family, length, kind, table = fields[0], fields[1], fields[7], number(parts.get(RTA_TABLE, b"")) or fields[4]
        if family in (_socket.AF_INET, _socket.AF_INET6):
            target = f"{_address(family, parts[RTA_DST])}/{length}" if RTA_DST in parts else ""
            gateway = _address(family, parts.get(RTA_GATEWAY, b""))
            found.append(Route(number(parts.get(RTA_OIF, b"")), target, gateway, kind, table))
    return found


def neighbours(kernel: netlink.NetlinkSocket, family: int = _socket.AF_UNSPEC) -> list[Neighbour]:
    """Return the ARP and neighbour tables; with *family* AF_BRIDGE the tables of all bridges; see rtnetlink(7)."""
    found = []
    for (kind, index, state, _, _), parts in _dump(kernel, RTM_GETNEIGH, RTM_NEWNEIGH, _NEIGHBOUR, family):
        address = _address(kind, parts.get(NDA_DST, b"")) if kind in (_socket.AF_INET, _socket.AF_INET6) else ""
        mac, master = parts.get(NDA_LLADDR, b"").hex(":"), number(parts.get(NDA_MASTER, b""))
        found.append(Neighbour(index, state, address, mac, master))
    return found


def _dump(
    kernel: netlink.NetlinkSocket, request: int, answer: int, form: struct.Struct, family: int = 0
) -> Iterator[tuple[tuple[int, ...], dict[int, bytes]]]:
    """Ask for all objects of a kind; yield the fields of each answer's struct *form*, and its attributes."""
    asked = netlink.message(request, netlink.NLM_F_DUMP, family.to_bytes(1, "little").ljust(form.size, b"\0"))
    for kind, body in kernel.request(asked):
        if kind == answer:
            if len(body) < form.size:
                raise netlink.malformed()
            yield form.unpack_from(body), attributes(body[form.size :])


def _address(family: int, content: bytes) -> str:
    return _socket.inet_ntop(family, content) if content else ""


def _word(content: bytes) -> str:
    return content.rstrip(b"\0").decode()


def _named(names: tuple[str, ...], content: bytes) -> str:
    place = number(content)
    return names[place] if place < len(names) else str(place)
