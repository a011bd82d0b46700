"""Remove network links: one message of rtnetlink(7) for a link, or for a bridge with all its links.

Removal is the slowest operation on a link: the kernel waits until no processor can still use it (an RCU grace period).
This file works without pyroute2, so that a command that only removes links need not import it.
"""

from __future__ import annotations

import _socket  # the C half alone: socket.py costs 4 ms more
import errno
import struct

from tinybox.errors import SyscallError

NETLINK_ROUTE, RTM_DELLINK, IFLA_GROUP = 0, 17, 27
NLM_F_REQUEST, NLM_F_ACK = 0x1, 0x4

_ANSWER_MAX = 65536
_ERROR_AT = 16  # offset, after struct nlmsghdr, of the errno of an NLMSG_ERROR; 0 is success
_DELETE = struct.Struct("=IHHIIBxHiII")  # struct nlmsghdr and struct ifinfomsg
_NUMBER = struct.Struct("=HHI")  # struct nlattr and 32 bits


def group_of(bridge: str) -> int:
    """Return the number of the link group of a *bridge* and all its veth links; see "group" in ip-link(8)."""
    import binascii

    return 1 << 30 | binascii.crc32(bridge.encode()) >> 2


def remove_bridge(name: str) -> None:
    """Remove the bridge *name* and all its veth links; no error if it does not exist; see ip-link(8).

    One message removes the whole group, so that the kernel waits only once, not for each link.
    """
    _delete(name, 0, _NUMBER.pack(_NUMBER.size, IFLA_GROUP, group_of(name)))
    remove_link(name)  # it still exists if another program has changed its group


def remove_link(name: str) -> None:
    """Remove the link *name*, a veth pair or a bridge; no error if it does not exist; see ip-link(8)."""
    try:
        index = _socket.if_nametoindex(name)
    except OSError:
        return
    _delete(name, index)


def _delete(name: str, index: int, attribute: bytes = b"") -> None:
    routes = _socket.socket(_socket.AF_NETLINK, _socket.SOCK_RAW | _socket.SOCK_CLOEXEC, NETLINK_ROUTE)
    try:
        header = (_DELETE.size + len(attribute), RTM_DELLINK, NLM_F_REQUEST | NLM_F_ACK, 1, 0)
        converse(routes, _DELETE.pack(*header, _socket.AF_UNSPEC, 0, index, 0, 0) + attribute, name)
    except SyscallError as error:
        if error.errno != errno.ENODEV:  # the kernel has removed it since, together with its namespace
            raise
    finally:
        routes.close()


def converse(socket: _socket.socket, message: bytes, about: str) -> None:
    """Send one *message* and wait for the kernel's answer; SyscallError, with *about*: it refuses; see netlink(7)."""
    socket.send(message)
    answer = socket.recv(_ANSWER_MAX)
    (error,) = struct.unpack_from("=i", answer, _ERROR_AT)
    if error:
        raise SyscallError(-error, "rtnetlink", (about,))
