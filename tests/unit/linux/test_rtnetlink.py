"""Links and addresses from netlink agree with other sources, in this network namespace."""

from __future__ import annotations

import errno
import socket

import pytest

from tinybox.linux import rtnetlink


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


def test_a_refused_request_is_an_error() -> None:
    """An unknown request is an OSError with its errno, not an empty list."""
    with rtnetlink._Asking() as asking, pytest.raises(OSError, match=r"\[Errno") as raised:
        list(asking.dump(4095, 4095))
    assert raised.value.errno == errno.EOPNOTSUPP
