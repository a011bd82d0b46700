"""Read the network links of this network namespace and their addresses over a netlink socket, as ip(8) does.

A message is a header, a struct that depends on the message type, and attributes, each with its length and its type. See
rtnetlink(7).
"""

from __future__ import annotations

import _socket
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

RTM_NEWLINK, RTM_GETLINK, RTM_NEWADDR, RTM_GETADDR = 16, 18, 20, 22
NLM_F_REQUEST, NLM_F_DUMP = 0x001, 0x300
NLMSG_ERROR, NLMSG_DONE = 2, 3
IFLA_IFNAME, IFA_ADDRESS, IFA_LOCAL = 3, 1, 2
IFF_UP, RT_SCOPE_LINK = 1, 253

_HEADER = struct.Struct("=LHHLL")  # length, type, flags, sequence, pid: struct nlmsghdr
_LINK = struct.Struct("=BxHiII")  # family, kind, index, flags, change: struct ifinfomsg
_ADDRESS = struct.Struct("=BBBBi")  # family, prefix length, flags, scope, index: struct ifaddrmsg
_ATTRIBUTE = struct.Struct("=HH")  # length, type: struct rtattr
_LONGEST = 1 << 16


class Link:
    """A link: its *index* in the namespace, its *name*, whether it is *up*, and its *addresses* as ``10.0.0.2/24``."""

    def __init__(self, index: int, name: str, up: bool) -> None:
        self.index, self.name, self.up = index, name, up
        self.addresses: list[str] = []


def links() -> list[Link]:
    """Return the links of this namespace, with all addresses except those of scope link; see rtnetlink(7)."""
    with _Query() as query:
        found = {}
        for body in query.dump(RTM_GETLINK, RTM_NEWLINK):
            _, _, index, flags, _ = _LINK.unpack_from(body)
            name = _attributes(body[_LINK.size :])[IFLA_IFNAME].rstrip(b"\0").decode()
            found[index] = Link(index, name, bool(flags & IFF_UP))
        for body in query.dump(RTM_GETADDR, RTM_NEWADDR):
            family, length, _, scope, index = _ADDRESS.unpack_from(body)
            parts = _attributes(body[_ADDRESS.size :])
            own = parts.get(IFA_LOCAL) or parts.get(IFA_ADDRESS)  # point to point: IFA_ADDRESS is the peer
            if own and scope != RT_SCOPE_LINK and index in found:
                found[index].addresses.append(f"{_socket.inet_ntop(family, own)}/{length}")
    return list(found.values())


class _Query:
    """A context manager with a netlink socket for requests; see netlink(7)."""

    def __enter__(self) -> Self:
        kind = _socket.SOCK_RAW | _socket.SOCK_CLOEXEC
        self._socket = _socket.socket(_socket.AF_NETLINK, kind, _socket.NETLINK_ROUTE)
        return self

    def __exit__(self, *raised: object) -> None:
        self._socket.close()

    def dump(self, request: int, answer: int) -> Iterator[bytes]:
        """Request all objects of a kind and yield the body of each *answer* message; OSError: the kernel refuses."""
        filters = _LINK.pack(_socket.AF_UNSPEC, 0, 0, 0, 0)
        header = _HEADER.pack(_HEADER.size + len(filters), request, NLM_F_REQUEST | NLM_F_DUMP, 1, 0)
        self._socket.send(header + filters)
        while True:
            packet = self._socket.recv(_LONGEST)
            while packet:
                length, kind, *_ = _HEADER.unpack_from(packet)
                if kind == NLMSG_ERROR:
                    code = struct.unpack_from("=i", packet, _HEADER.size)[0]
                    raise OSError(-code, "netlink")
                if kind == NLMSG_DONE:
                    return
                if kind == answer:
                    yield packet[_HEADER.size : length]
                packet = packet[_aligned(length) :]


def _attributes(rest: bytes) -> dict[int, bytes]:
    found = {}
    while len(rest) >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(rest)
        if length < _ATTRIBUTE.size:
            break
        found[kind] = rest[_ATTRIBUTE.size : length]
        rest = rest[_aligned(length) :]
    return found


def _aligned(length: int) -> int:
    return (length + 3) & ~3
