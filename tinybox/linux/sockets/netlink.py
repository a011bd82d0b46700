"""Netlink messages: the sockets by which the kernel lists and changes links, addresses, routes and connections.

A message is a header, a struct that depends on the message type, and attributes, each with its length and its type. See
netlink(7).
"""

from __future__ import annotations

import _socket  # the C half alone: socket.py costs 4 ms more
import errno
import os
import struct
import time

from tinybox import explain
from tinybox.errors import SyscallError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

ROUTE, NETFILTER = 0, 12  # families: NETLINK_ROUTE and NETLINK_NETFILTER
NLM_F_REQUEST, NLM_F_ACK = 0x1, 0x4
NLM_F_REPLACE, NLM_F_EXCL, NLM_F_CREATE, NLM_F_DUMP = 0x100, 0x200, 0x400, 0x300
NLMSG_ERROR, NLMSG_DONE = 2, 3
NESTED = 0x8000  # NLA_F_NESTED: the attribute consists of attributes

_HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port: struct nlmsghdr
_KIND = struct.Struct("=H")
_ATTRIBUTE = struct.Struct("=HH")  # length, type: struct nlattr
_ERROR = struct.Struct("=i")
_TYPE_MASK = 0x3FFF  # the two bits above are flags: nested attributes, and network byte order
_LONGEST = 1 << 16
_ERRNO_MOST = 4095  # MAX_ERRNO of linux/err.h
_NAMES = {ROUTE: "rtnetlink", NETFILTER: "nfnetlink"}


class NetlinkSocket:
    """A context manager with a netlink socket of one *family*, in the network namespace of the process that made it."""

    def __init__(self, family: int) -> None:
        self._name = _NAMES[family]
        self._socket = _socket.socket(_socket.AF_NETLINK, _socket.SOCK_RAW | _socket.SOCK_CLOEXEC, family)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def fileno(self) -> int:
        """Return the file descriptor."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def execute(self, whole: bytes, about: str = "") -> None:
        """Send one *whole* message with NLM_F_ACK and wait for the answer; SyscallError, with *about*: a refusal."""
        for _ in self.request(whole, about):
            pass

    def request(self, whole: bytes, about: str = "") -> Iterator[tuple[int, bytes]]:
        """Send one *whole* message, and yield the type of each answer and its bytes after the header."""
        begun = time.monotonic_ns()
        self._socket.send(whole)
        if explain.listeners:
            (kind,) = _KIND.unpack_from(whole, 4)
            explain.report("sendto", (self._socket.fileno(), kind, about, len(whole)), len(whole), begun)
        while True:
            for kind, body in messages(self._socket.recv(_LONGEST)):
                if kind not in (NLMSG_ERROR, NLMSG_DONE):
                    yield kind, body
                    continue
                if len(body) < _ERROR.size:
                    raise malformed()
                (error,) = _ERROR.unpack_from(body)
                if not -_ERRNO_MOST <= error <= 0:
                    raise malformed()
                if error:
                    raise SyscallError(-error, self._name, (about,))
                return


def message(kind: int, flags: int, body: bytes) -> bytes:
    """Return a request to the kernel: a header, and *body*, which is a struct and attributes; see netlink(7)."""
    return _HEADER.pack(_HEADER.size + len(body), kind, NLM_F_REQUEST | flags, 1, 0) + body


def messages(packet: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the type and the body of each message in *packet*; SyscallError (EBADMSG): it is cut off; netlink(7)."""
    if not packet:
        raise malformed()
    while packet:
        length, kind = _HEADER.unpack_from(packet)[:2] if len(packet) >= _HEADER.size else (0, 0)
        if not _HEADER.size <= length <= len(packet):
            raise malformed()
        yield kind, packet[_HEADER.size : length]
        packet = packet[_aligned(length) :]


def attribute(kind: int, content: bytes) -> bytes:
    """Return an attribute with this *content*, padded to a multiple of 4 bytes; see netlink(7)."""
    length = _ATTRIBUTE.size + len(content)
    return _ATTRIBUTE.pack(length, kind) + content + bytes(_aligned(length) - length)


def nested(kind: int, *parts: bytes) -> bytes:
    """Return an attribute that consists of *parts*, which are attributes; see netlink(7)."""
    return attribute(kind | NESTED, b"".join(parts))


def text(kind: int, content: str) -> bytes:
    """Return an attribute with a name, which ends with a zero byte; see netlink(7)."""
    return attribute(kind, os.fsencode(content) + b"\0")


def unsigned(kind: int, content: int) -> bytes:
    """Return an attribute with a number of 32 bits (little-endian, as this machine); see netlink(7)."""
    return attribute(kind, content.to_bytes(4, "little"))


def attributes(data: bytes) -> dict[int, bytes]:
    """Return the contents of the attributes in *data*, by type; SyscallError (EBADMSG): cut off; netlink(7)."""
    found = {}
    while data:
        length, kind = _ATTRIBUTE.unpack_from(data) if len(data) >= _ATTRIBUTE.size else (0, 0)
        if not _ATTRIBUTE.size <= length <= len(data):
            raise malformed()
        found[kind & _TYPE_MASK] = data[_ATTRIBUTE.size : length]
        data = data[_aligned(length) :]
    return found


def number(content: bytes) -> int:
    """Return the *content* of an attribute as a number (little-endian, as this machine); see netlink(7)."""
    return int.from_bytes(content, "little")


def malformed() -> SyscallError:
    """Return the error for an answer that is cut off: EBADMSG; see errno(3)."""
    return SyscallError(errno.EBADMSG, "netlink")


def _aligned(length: int) -> int:
    return (length + 3) & ~3
