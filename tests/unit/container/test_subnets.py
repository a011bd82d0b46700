"""The arithmetic of subnets, compared with Python's own ipaddress."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as some

from tinybox.container.network import subnets

ADDRESS = some.integers(0, (1 << 32) - 1)
SUBNET = some.builds(lambda number, bits: str(ipaddress.ip_network((number, bits), strict=False)), ADDRESS,
                     some.integers(0, 32))  # fmt: skip
ROUTES = """Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
tinybox0\t00001EAC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
"""


@given(ADDRESS)
def test_addresses_are_numbers(number: int) -> None:
    """A conversion there and back changes nothing, and both agree with ipaddress."""
    text = str(ipaddress.IPv4Address(number))
    assert (subnets.number(text), subnets.dotted(number)) == (number, text)


@pytest.mark.parametrize(
    "text", ["", "1.2.3", "1.2.3.4.5", "1.2.3.256", "a.b.c.d", "1.2.3.٤", "1..2.3", "::1", "1.2.3.-4"]
)
def test_invalid_addresses(text: str) -> None:
    """Too few parts, too many parts, and too large a part are errors."""
    with pytest.raises(ValueError, match=r"invalid IP address|must be in range"):
        subnets.number(text)


@given(SUBNET, SUBNET)
def test_subnets(one: str, other: str) -> None:
    """First, last and overlap agree with ipaddress."""
    network = ipaddress.IPv4Network(one)
    assert subnets.span(one) == (int(network.network_address), int(network.broadcast_address))
    assert subnets.overlap(one, other) == network.overlaps(ipaddress.IPv4Network(other))


def test_routes_of_the_host() -> None:
    """/proc/net/route has its numbers in reverse byte order; the default route is no subnet; links can be left out."""
    assert subnets.routes(ROUTES) == ["192.0.2.0/24", "172.30.0.0/16"]
    assert subnets.routes(ROUTES, but="tinybox0") == ["192.0.2.0/24"]
    halves = "tun0\t00000000\t0100000A\t0003\t0\t0\t0\t00000080\ntun0\t00000080\t0100000A\t0003\t0\t0\t0\t00000080\n"
    assert subnets.routes(ROUTES + halves) == [
        "192.0.2.0/24",
        "172.30.0.0/16",
    ]  # a VPN writes the default route so
