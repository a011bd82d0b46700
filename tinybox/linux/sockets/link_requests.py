"""Ask the kernel to make, change and remove links, addresses and routes, as ip(8) does: the messages of rtnetlink(7).

Each function returns one whole message, which a NetlinkSocket sends. The constants are those of linux/if_link.h,
linux/if_addr.h and linux/rtnetlink.h.
"""

from __future__ import annotations

import _socket  # the C half alone: socket.py costs 4 ms more
import struct

from tinybox.linux.sockets import netlink
from tinybox.linux.sockets.netlink import NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, attribute, nested, text

RTM_NEWLINK, RTM_DELLINK, RTM_NEWADDR, RTM_NEWROUTE = 16, 17, 20, 24
IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_MASTER, IFLA_LINKINFO = 1, 3, 4, 10, 18
IFLA_GROUP, IFLA_NET_NS_FD = 27, 28
IFLA_INFO_KIND, IFLA_INFO_DATA, IFLA_INFO_SLAVE_KIND, IFLA_INFO_SLAVE_DATA = 1, 2, 4, 5
IFLA_BRPORT_MODE, IFLA_BRPORT_ISOLATED, VETH_INFO_PEER = 4, 33, 1
IFA_ADDRESS, IFA_LOCAL, IFA_BROADCAST, IFA_FLAGS = 1, 2, 4, 8
IFA_F_NODAD = 2
RTA_GATEWAY = 5
IFF_UP, RT_TABLE_MAIN, RTPROT_BOOT, RTN_UNICAST = 1, 254, 3, 1

LINK = struct.Struct("=BxHiII")  # family, kind, index, flags, change: struct ifinfomsg
ADDRESS = struct.Struct("=BBBBi")  # family, prefix length, flags, scope, index: struct ifaddrmsg
ROUTE = struct.Struct("=BBBBBBBBI")  # family, lengths of both ends, tos, table, protocol, scope, type, flags: rtmsg


def new_link(name: str, kind: str, *parts: bytes, data: bytes = b"") -> bytes:
    """Return the message that makes the link *name* of this *kind*, and sets it up; see ip-link(8).

    *parts* are further attributes of the link, *data* are those that only this kind of link has.
    """
    about = nested(IFLA_LINKINFO, text(IFLA_INFO_KIND, kind), nested(IFLA_INFO_DATA, data) if data else b"")
    body = LINK.pack(_socket.AF_UNSPEC, 0, 0, IFF_UP, IFF_UP) + text(IFLA_IFNAME, name) + about + b"".join(parts)
    return netlink.message(RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, body)


def veth_peer(name: str, *parts: bytes) -> bytes:
    """Return the data of a new veth link: the *name* of its other end, and further attributes of it; see veth(4)."""
    return nested(VETH_INFO_PEER, LINK.pack(_socket.AF_UNSPEC, 0, 0, 0, 0), text(IFLA_IFNAME, name), *parts)


def changed_link(index: int, *parts: bytes, up: bool = False) -> bytes:
    """Return the message that changes the link *index* by the attributes *parts*, and sets it *up*; rtnetlink(7)."""
    flags = IFF_UP if up else 0
    body = LINK.pack(_socket.AF_UNSPEC, 0, index, flags, flags) + b"".join(parts)
    return netlink.message(RTM_NEWLINK, NLM_F_ACK, body)


def changed_port(index: int, *parts: bytes) -> bytes:
    """Return the message that changes the link *index* as a port of its bridge, by *parts*; see bridge(8)."""
    port = nested(IFLA_LINKINFO, text(IFLA_INFO_SLAVE_KIND, "bridge"), nested(IFLA_INFO_SLAVE_DATA, *parts))
    return changed_link(index, port)


def deletion(index: int, parts: bytes = b"") -> bytes:
    """Return the message that removes the link *index*; with 0, those that *parts* mean, attributes; rtnetlink(7)."""
    return netlink.message(RTM_DELLINK, NLM_F_ACK, LINK.pack(_socket.AF_UNSPEC, 0, index, 0, 0) + parts)


def new_address(index: int, address: str) -> bytes:
    """Return the message that adds an *address*, ``172.30.0.2/16``, to the link *index*, if it lacks it.

    An address of IPv6 can be used at once: the kernel does not look for another machine that has it; see
    ip-address(8).
    """
    number, _, length = address.partition("/")
    family, prefix = _family(number), int(length)
    packed = _socket.inet_pton(family, number)
    parts = [attribute(IFA_ADDRESS, packed), attribute(IFA_LOCAL, packed)]
    if family == _socket.AF_INET6:
        parts.append(netlink.unsigned(IFA_FLAGS, IFA_F_NODAD))
    elif prefix < 31:  # a net of two addresses has no broadcast; see RFC 3021
        parts.append(attribute(IFA_BROADCAST, _broadcast(packed, prefix)))
    body = ADDRESS.pack(family, prefix, 0, 0, index) + b"".join(parts)
    return netlink.message(RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE, body)


def new_default_route(gateway: str, *, replace: bool = False) -> bytes:
    """Return the message that adds a default route by *gateway*, or *replaces* the former one by it; ip-route(8)."""
    family = _family(gateway)
    body = ROUTE.pack(family, 0, 0, 0, RT_TABLE_MAIN, RTPROT_BOOT, 0, RTN_UNICAST, 0)
    how = NLM_F_CREATE | (NLM_F_REPLACE if replace else NLM_F_EXCL)
    return netlink.message(
        RTM_NEWROUTE, NLM_F_ACK | how, body + attribute(RTA_GATEWAY, _socket.inet_pton(family, gateway))
    )


def _family(address: str) -> int:
    return _socket.AF_INET6 if ":" in address else _socket.AF_INET


def _broadcast(address: bytes, prefix: int) -> bytes:
    """Return the address of all hosts of the net of *address*: all bits after the *prefix* are 1."""
    return (int.from_bytes(address, "big") | (1 << 32 - prefix) - 1).to_bytes(4, "big")
