"""The end of a network's links: one short message of rtnetlink(7) each, or one for a bridge and all that is in it.

Removing is what the kernel takes longest for: it waits until no processor can be looking at a link any more. Who has
only this to do needs no pyroute2.
"""

from __future__ import annotations

import _socket  # the C half alone: socket.py costs 4 ms more
import errno
import struct

from tinybox.errors import SyscallError

NETLINK_ROUTE, RTM_DELLINK, IFLA_GROUP = 0, 17, 27
NLM_F_REQUEST, NLM_F_ACK = 0x1, 0x4

_ANSWER_MAX = 65536
_ERROR_AT = 16  # behind struct nlmsghdr: the errno of an NLMSG_ERROR, 0 for "done"
_DELETE = struct.Struct("=IHHIIBxHiII")  # struct nlmsghdr and struct ifinfomsg
_NUMBER = struct.Struct("=HHI")  # struct nlattr and 32 bits


def group_of(bridge: str) -> int:
    """Return the number of the group that a bridge and all its cables are in; see "group" in ip-link(8)."""
    import binascii

    return 1 << 30 | binascii.crc32(bridge.encode()) >> 2


def remove_bridge(name: str) -> None:
    """Remove the bridge *name* and all the cables in it; one that is gone is fine.

    A group goes by one message, for which the kernel waits once, and not for each link.
    """
    _delete(name, 0, _NUMBER.pack(_NUMBER.size, IFLA_GROUP, group_of(name)))
    remove_link(name)  # it is there yet if somebody has changed its group


def remove_link(name: str) -> None:
    """Remove the link *name*, a cable with both its ends or a bridge; one that is gone is fine."""
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
        if error.errno != errno.ENODEV:  # it has gone meanwhile, with its namespace
            raise
    finally:
        routes.close()


def converse(socket: _socket.socket, message: bytes, about: str) -> None:
    """Send one *message* and wait for the kernel's answer; SyscallError is its no; see netlink(7)."""
    socket.send(message)
    answer = socket.recv(_ANSWER_MAX)
    (error,) = struct.unpack_from("=i", answer, _ERROR_AT)
    if error:
        raise SyscallError(-error, "rtnetlink", (about,))
