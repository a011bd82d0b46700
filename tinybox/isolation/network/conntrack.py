"""Connection tracking: delete the kernel's entries for a published port, so that old UDP connections follow the change.

The kernel sends each packet of a known connection to the place of its first packet, also after the port was published
for another container. A UDP connection has no end that the kernel could see, so its entry must be deleted. See
nf_conntrack in the kernel's documentation.
"""

from __future__ import annotations

import _socket  # the C half alone: socket.py costs 4 ms more
import errno
import struct

from tinybox.errors import SyscallError
from tinybox.linux.sockets import netlink
from tinybox.linux.sockets.netlink import attributes

NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_GET, IPCTNL_MSG_CT_DELETE = 1, 1, 2
CTA_TUPLE_ORIG = CTA_PROTO_NUM = 1
CTA_TUPLE_PROTO, CTA_PROTO_DST_PORT = 2, 3
FAMILIES = (_socket.AF_INET, _socket.AF_INET6)

_FORM = struct.Struct("=BBH")  # family, version, resource: struct nfgenmsg


def delete(protocol: int, port: int) -> None:
    """Delete the entries of all connections of this network namespace to *port*; see conntrack(8).

    *protocol* is an IPPROTO_* number. *port* is the destination port of the connection's first packet.
    """
    with netlink.NetlinkSocket(netlink.NETFILTER) as kernel:
        for family in FAMILIES:
            for connection in known(family, protocol, port):
                whole = netlink.attribute(CTA_TUPLE_ORIG | netlink.NESTED, connection)
                try:
                    kernel.execute(_asked(family, IPCTNL_MSG_CT_DELETE, netlink.NLM_F_ACK, whole))
                except SyscallError as error:
                    if error.errno != errno.ENOENT:  # the entry has expired since it was read
                        raise


def known(family: int, protocol: int, port: int) -> list[bytes]:
    """Return the connections to *port*, each as what its CTA_TUPLE_ORIG says; see libnetfilter_conntrack."""
    found = []
    with netlink.NetlinkSocket(netlink.NETFILTER) as kernel:
        for _, body in kernel.request(_asked(family, IPCTNL_MSG_CT_GET, netlink.NLM_F_DUMP)):
            first = attributes(body[_FORM.size :])[CTA_TUPLE_ORIG]
            ends = attributes(attributes(first)[CTA_TUPLE_PROTO])
            if ends[CTA_PROTO_NUM][0] == protocol and ends.get(CTA_PROTO_DST_PORT) == port.to_bytes(2, "big"):
                found.append(first)
    return found


def _asked(family: int, what: int, how: int, attribute: bytes = b"") -> bytes:
    return netlink.message(NFNL_SUBSYS_CTNETLINK << 8 | what, how, _FORM.pack(family, 0, 0) + attribute)
