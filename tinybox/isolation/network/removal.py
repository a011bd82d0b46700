"""Remove network links: one message of rtnetlink(7) for a link, or for a bridge with all its links.

Removal is the slowest operation on a link: the kernel waits until no processor can still use it (an RCU grace period).
"""

from __future__ import annotations

import _socket  # the C half alone: socket.py costs 4 ms more
import errno

from tinybox.errors import SyscallError
from tinybox.linux.sockets import link_requests, netlink


def group_of(bridge: str) -> int:
    """Return the number of the link group of a *bridge* and all its veth links; see "group" in ip-link(8)."""
    import binascii

    return 1 << 30 | binascii.crc32(bridge.encode()) >> 2


def remove_bridge(name: str) -> None:
    """Remove the bridge *name* and all its veth links; no error if it does not exist; see ip-link(8).

    One message removes the whole group, so that the kernel waits only once, not for each link.
    """
    _delete(name, 0, netlink.unsigned(link_requests.IFLA_GROUP, group_of(name)))
    remove_link(name)  # it still exists if another program has changed its group


def remove_link(name: str) -> None:
    """Remove the link *name*, a veth pair or a bridge; no error if it does not exist; see ip-link(8)."""
    try:
        index = _socket.if_nametoindex(name)
    except OSError:
        return
    _delete(name, index)


def _delete(name: str, index: int, attribute: bytes = b"") -> None:
    with netlink.NetlinkSocket(netlink.ROUTE) as kernel:
        try:
            kernel.execute(link_requests.deletion(index, attribute), name)
        except SyscallError as error:
            if error.errno != errno.ENODEV:  # the kernel has removed it since, together with its namespace
                raise
