"""Links and addresses from netlink agree with other sources, in this network namespace."""

from __future__ import annotations

import errno
import socket

import pytest
from pyroute2 import IPRoute

from tinybox.errors import SyscallError
from tinybox.linux.sockets import link_requests, netlink, rtnetlink


def test_the_links_are_those_of_the_namespace() -> None:
    """Every index and name of if_nameindex(3), and no other."""
    assert sorted((link.index, link.name) for link in rtnetlink.links()) == socket.if_nameindex()


def test_addresses_can_be_bound() -> None:
    """Each address has its prefix length and can be bound; 127.0.0.1 is an address of lo exactly if it can be bound."""
    for link in rtnetlink.links():
        for address in link.addresses:
            host, _, length = address.partition("/")
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            with socket.socket(family, socket.SOCK_DGRAM) as bound:
                bound.bind((host, 0))
            assert 0 < int(length) <= (128 if ":" in host else 32)
    [loopback] = [link for link in rtnetlink.links() if link.name == "lo"]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        try:
            bound.bind(("127.0.0.1", 0))
        except OSError:
            assert not loopback.addresses
        else:
            assert loopback.up
            assert "127.0.0.1/8" in loopback.addresses


def test_an_address_that_no_link_has_cannot_be_bound() -> None:
    """The control: the bind of the test above fails for an address that is not in the list."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        with pytest.raises(OSError, match=r".") as raised:
            bound.bind(("203.0.113.77", 0))
        assert raised.value.errno == errno.EADDRNOTAVAIL


def test_pyroute2_reads_the_same() -> None:
    """Links, addresses, routes and neighbours, each in the kernel's order, as the library reads them."""
    with IPRoute() as library, netlink.NetlinkSocket(netlink.ROUTE) as kernel:
        links = [
            (link["index"], *(link.get_attr(f"IFLA_{name}") for name in ("IFNAME", "MTU", "ADDRESS", "OPERSTATE")))
            for link in library.get_links()
        ]
        assert [
            (link.index, link.name, link.mtu, link.mac, link.state) for link in rtnetlink.plain_links(kernel)
        ] == links
        assert [(each.link, each.text) for each in rtnetlink.addresses(kernel)] == [
            (each["index"], f"{each.get_attr('IFA_LOCAL') or each.get_attr('IFA_ADDRESS')}/{each['prefixlen']}")
            for each in library.get_addr()
        ]
        routes = [each for each in rtnetlink.routes(kernel) if each.table == link_requests.RT_TABLE_MAIN]
        assert [(each.link, each.target.partition("/")[0], each.gateway, each.kind) for each in routes] == [
            (*(each.get_attr(name) or "" for name in ("RTA_OIF", "RTA_DST", "RTA_GATEWAY")), each["type"])
            for each in library.get_routes(table=link_requests.RT_TABLE_MAIN)
        ]
        for family in (socket.AF_UNSPEC, rtnetlink.AF_BRIDGE):
            known = rtnetlink.neighbours(kernel, family)
            assert [(each.link, each.mac) for each in known] == [
                (each["ifindex"], each.get_attr("NDA_LLADDR") or "") for each in library.get_neighbours(family=family)
            ]


def test_what_the_kernel_refuses_is_an_error() -> None:
    """A request that rtnetlink does not know is an OSError with its errno, not an empty list."""
    asked = netlink.message(4095, netlink.NLM_F_DUMP, bytes(16))
    with netlink.NetlinkSocket(netlink.ROUTE) as kernel, pytest.raises(SyscallError, match="rtnetlink") as raised:
        list(kernel.request(asked))
    assert raised.value.errno == errno.EOPNOTSUPP
