"""The end of a network's links: one short message of rtnetlink(7) each, or one for a bridge and all that is in it.

Removing is what the kernel takes longest for: it waits until no processor can be looking at a link any more. Who has
only this to do needs no pyroute2.
"""

from __future__ import annotations

import _socket  # the C half alone: socket.py costs 4 ms more
import errno

from tinybox.errors import SyscallError
from tinybox.linux import netlink, rtnetlink


def group_of(bridge: str) -> int:
    """Return the number of the group that a bridge and all its cables are in; see "group" in ip-link(8)."""
    import binascii

    return 1 << 30 | binascii.crc32(bridge.encode()) >> 2


def remove_bridge(name: str) -> None:
    """Remove the bridge *name* and all the cables in it; one that is gone is fine.

    A group goes by one message, for which the kernel waits once, and not for each link.
    """
    _delete(name, 0, netlink.attribute(rtnetlink.IFLA_GROUP, group_of(name).to_bytes(4, "little")))
    remove_link(name)  # it is there yet if somebody has changed its group


def remove_link(name: str) -> None:
    """Remove the link *name*, a cable with both its ends or a bridge; one that is gone is fine."""
    try:
        index = _socket.if_nametoindex(name)
    except OSError:
        return
    _delete(name, index)


def _delete(name: str, index: int, attribute: bytes = b"") -> None:
    with netlink.Conversation(netlink.ROUTE) as kernel:
        try:
            kernel.tell(rtnetlink.deletion(index, attribute), name)
        except SyscallError as error:
            if error.errno != errno.ENODEV:  # it has gone meanwhile, with its namespace
                raise
