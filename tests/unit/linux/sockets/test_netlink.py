"""Netlink's messages and attributes: a packed one can be read; one with a wrong length is an error."""

from __future__ import annotations

import errno
import os
import random
import struct
from typing import TYPE_CHECKING

import pytest

from tinybox.errors import SyscallError
from tinybox.linux.sockets import link_requests, netlink, rtnetlink

if TYPE_CHECKING:
    from collections.abc import Callable

DONE = struct.pack("=IHHII", 20, netlink.NLMSG_DONE, 0, 1, 0) + bytes(4)


class Partner(netlink.NetlinkSocket):
    """A conversation with ourselves: what the kernel would answer is given, packet by packet."""

    def __init__(self, *packets: bytes) -> None:
        self._name, self.packets = "netlink", [*packets]
        self._socket = self  # type: ignore[assignment]

    def send(self, whole: bytes) -> None:
        """Take a message."""

    def close(self) -> None:
        """End the conversation."""

    def recv(self, _: int) -> bytes:
        """Give the next packet."""
        return self.packets.pop(0)


def answer(kind: int, body: bytes) -> bytes:
    """Pack one answer, padded as the kernel pads it."""
    return (struct.pack("=IHHII", 16 + len(body), kind, 0, 1, 0) + body).ljust((19 + len(body)) & ~3, b"\0")


def test_attributes_of_any_length() -> None:
    """A packed attribute can be read again, without its padding, also inside another attribute."""
    contents = {kind: os.urandom(kind) for kind in range(1, 9)}
    data = b"".join(netlink.attribute(kind, content) for kind, content in contents.items())
    assert len(data) % 4 == 0
    assert netlink.attributes(data) == contents
    nested = netlink.attributes(netlink.attribute(9 | netlink.NESTED, data))
    assert netlink.attributes(nested[9]) == contents


def test_answers_in_several_packets() -> None:
    """Messages are yielded in their order, over several packets, up to the last; what follows that is not read."""
    first, second = answer(16, b"abc") + answer(17, b""), answer(16, b"defgh") + DONE + answer(16, b"behind")
    assert list(Partner(first, second).request(b"")) == [(16, b"abc"), (17, b""), (16, b"defgh")]


@pytest.mark.parametrize("kind", [netlink.NLMSG_ERROR, netlink.NLMSG_DONE])
def test_a_no_is_an_error(kind: int) -> None:
    """The kernel's errno is raised, with what it was about; 0 is a yes."""
    with pytest.raises(SyscallError) as raised:
        Partner(answer(kind, struct.pack("=i", -errno.EPERM))).execute(b"", "eth0")
    assert (raised.value.errno, raised.value.arguments) == (errno.EPERM, ("eth0",))
    Partner(answer(kind, bytes(4))).execute(b"")


BROKEN = [
    b"",
    b"\0",
    bytes(15),
    bytes(16),  # a message that says it has no length: it would be read again and again
    struct.pack("=IHHII", 15, 16, 0, 1, 0),
    struct.pack("=IHHII", 17, 16, 0, 1, 0),
    struct.pack("=IHHII", 2**32 - 1, 16, 0, 1, 0),
    answer(16, b"abcd")[:-1],
    answer(16, b"abcd") + b"\1",
    answer(netlink.NLMSG_ERROR, b"ab"),
    answer(netlink.NLMSG_DONE, b""),
    answer(netlink.NLMSG_ERROR, struct.pack("=i", -(2**31))),  # no errno(3)
    answer(netlink.NLMSG_ERROR, struct.pack("=i", 1)),
]


@pytest.mark.parametrize("packet", BROKEN)
def test_a_broken_packet_is_an_error(packet: bytes) -> None:
    """It is raised, and does not loop, whatever its length says; so is an end that is no message."""
    with pytest.raises(SyscallError) as raised:
        list(Partner(packet, b"").request(b""))
    assert raised.value.errno == errno.EBADMSG


@pytest.mark.parametrize("data", [b"\0", bytes(4), b"\3\0\1\0", b"\5\0\1\0", b"\xff\xff\1\0abcd", b"\5\0\1\0a\0\0\0\4"])
def test_broken_attributes_are_an_error(data: bytes) -> None:
    """One that is shorter than its own header, longer than what there is, or no whole header."""
    with pytest.raises(SyscallError) as raised:
        netlink.attributes(data)
    assert raised.value.errno == errno.EBADMSG


def test_any_packet_ends() -> None:
    """Of 20 000 packets made by chance, each is read or refused; none raises anything else."""
    chance = random.Random(11)  # noqa: S311  the same ones each time
    read = 0
    for _ in range(20_000):
        whole = bytearray(answer(16, netlink.attribute(1, chance.randbytes(chance.randrange(9)))) + DONE)
        for _ in range(chance.randrange(3)):
            whole[chance.randrange(len(whole))] = chance.randrange(256)
        packet = bytes(whole[: chance.randrange(len(whole) + 1)]) if chance.random() < 0.5 else bytes(whole)
        try:
            for kind, body in Partner(packet, DONE).request(b""):
                netlink.attributes(body) if kind == 16 else None
        except SyscallError:
            continue
        read += 1
    assert 1000 < read < 19_000  # the control: both happen


ASKING: list[tuple[Callable[[netlink.NetlinkSocket], object], int, int]] = [
    (rtnetlink.plain_links, link_requests.RTM_NEWLINK, 16),
    (rtnetlink.addresses, link_requests.RTM_NEWADDR, 8),
    (rtnetlink.routes, link_requests.RTM_NEWROUTE, 12),
    (rtnetlink.neighbours, rtnetlink.RTM_NEWNEIGH, 12),
]


@pytest.mark.parametrize(("ask", "kind", "size"), ASKING)
def test_a_short_struct_is_an_error(ask: Callable[[netlink.NetlinkSocket], object], kind: int, size: int) -> None:
    """An answer in which not even the struct of its type is whole; answers of other types are passed over."""
    for length in range(size):
        with pytest.raises(SyscallError) as raised:
            ask(Partner(answer(kind, bytes(length)) + DONE))
        assert raised.value.errno == errno.EBADMSG
    assert ask(Partner(answer(kind + 1, b"") + DONE)) == []


def test_a_conversation_ends_with_its_socket() -> None:
    """After an error no descriptor is left."""
    before = os.listdir("/proc/self/fd")
    with pytest.raises(SyscallError), netlink.NetlinkSocket(netlink.ROUTE) as kernel:
        kernel.execute(netlink.message(4095, netlink.NLM_F_ACK, bytes(16)))
    assert len(os.listdir("/proc/self/fd")) == len(before)
