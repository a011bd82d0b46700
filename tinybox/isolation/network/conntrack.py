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

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

NETLINK_NETFILTER = 12
NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_GET, IPCTNL_MSG_CT_DELETE = 1, 1, 2
NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP = 0x1, 0x4, 0x300
NLMSG_ERROR, NLMSG_DONE = 2, 3
CTA_TUPLE_ORIG = CTA_PROTO_NUM = 1
CTA_TUPLE_PROTO, CTA_PROTO_DST_PORT = 2, 3
FAMILIES = (_socket.AF_INET, _socket.AF_INET6)

_HEADER = struct.Struct("=IHHIIBBH")  # struct nlmsghdr and struct nfgenmsg
_ATTRIBUTE = struct.Struct("=HH")  # struct nlattr
_TYPE_MASK = 0x3FFF  # the two bits above are flags: nested attributes, and network byte order
_LONGEST = 1 << 16


def delete(protocol: int, port: int) -> None:
    """Delete the entries of all connections of this network namespace to *port*; see conntrack(8).

    *protocol* is an IPPROTO_* number. *port* is the destination port of the connection's first packet.
    """
    for family in FAMILIES:
        for connection in known(family, protocol, port):
            try:
                list(_answers(_request(family, IPCTNL_MSG_CT_DELETE, NLM_F_ACK, connection)))
            except SyscallError as error:
                if error.errno != errno.ENOENT:  # the entry has expired since it was read
                    raise


def known(family: int, protocol: int, port: int) -> list[bytes]:
    """Return the connections to *port*, each as its attribute CTA_TUPLE_ORIG; see libnetfilter_conntrack."""
    found = []
    for message in _answers(_request(family, IPCTNL_MSG_CT_GET, NLM_F_DUMP)):
        whole = next(piece for kind, piece in _attributes(message) if kind == CTA_TUPLE_ORIG)
        parts = dict(_attributes(whole[_ATTRIBUTE.size :]))
        ends = {
            kind: piece[_ATTRIBUTE.size :] for kind, piece in _attributes(parts[CTA_TUPLE_PROTO][_ATTRIBUTE.size :])
        }
        if ends[CTA_PROTO_NUM][0] == protocol and ends.get(CTA_PROTO_DST_PORT, b"")[:2] == port.to_bytes(2, "big"):
            found.append(whole)
    return found


def _request(family: int, command: int, flags: int, attribute: bytes = b"") -> bytes:
    kind = NFNL_SUBSYS_CTNETLINK << 8 | command
    return _HEADER.pack(_HEADER.size + len(attribute), kind, NLM_F_REQUEST | flags, 1, 0, family, 0, 0) + attribute


def _answers(message: bytes) -> Iterator[bytes]:
    """Send *message* and yield the attributes of each answer; SyscallError: the kernel refuses; see netlink(7)."""
    kernel = _socket.socket(_socket.AF_NETLINK, _socket.SOCK_RAW | _socket.SOCK_CLOEXEC, NETLINK_NETFILTER)
    try:
        kernel.send(message)
        while True:
            answer = kernel.recv(_LONGEST)
            while answer:
                length, kind, *_ = _HEADER.unpack_from(answer)
                if kind in (NLMSG_ERROR, NLMSG_DONE):
                    (error,) = struct.unpack_from("=i", answer, 16)
                    if error:
                        raise SyscallError(-error, "nfnetlink", ())
                    return
                yield answer[_HEADER.size : length]
                answer = answer[_aligned(length) :]
    finally:
        kernel.close()


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the number and the bytes of each attribute in *data*; the bytes include its header and padding."""
    while len(data) >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(data)
        yield kind & _TYPE_MASK, data[: _aligned(length)]
        data = data[_aligned(length) :]


def _aligned(length: int) -> int:
    return (length + 3) & ~3
