"""network create --ip-range and --aux-address: which addresses boxes are given, and which never."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from tests.support.boxes import one_line, output

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Command

pytestmark = pytest.mark.root

SUBNET = "10.79.0.0/24"
RANGE = ("--ip-range", "10.79.0.16/30", "--aux-address", "router=10.79.0.17", "--aux-address=nas=10.79.0.40")


@pytest.fixture
def network(tinybox: Command) -> Iterator[str]:
    """Make a network whose addresses are chosen from four, of which one is reserved."""
    name = f"ranged{os.getpid()}"
    done = tinybox("network", "create", "--subnet", SUBNET, *RANGE, name)
    assert done.returncode == 0, done
    yield name
    tinybox("network", "rm", name)


def address(tinybox: Command, *options: str) -> str:
    """Return the address of eth0 in a new box."""
    return output(tinybox, *options, "busybox", "ip", "-4", "-o", "addr", "show", "eth0").split()[3]


def test_addresses_come_from_the_range(tinybox: Command, network: str) -> None:
    """Boxes get the three free addresses of the range; without a range the first is that after the gateway."""
    boxes = [f"{network}box{number}" for number in range(3)]
    try:
        for name in boxes:
            done = tinybox("run", "-d", "--name", name, "--network", network, "busybox", "sleep", "100")
            assert done.returncode == 0, done
        [known] = json.loads(tinybox("network", "inspect", network).stdout)
        found = sorted(member["IPv4Address"] for member in known["Containers"].values())
        assert found == ["10.79.0.16/24", "10.79.0.18/24", "10.79.0.19/24"]
        one_line(tinybox("run", "--rm", "--network", network, "busybox", "true"), 125, "no available IPv4 addresses")
    finally:
        tinybox("rm", "-f", *boxes)
    plain = f"{network}x"
    assert tinybox("network", "create", "--subnet", "10.80.0.0/24", plain).returncode == 0
    try:
        assert address(tinybox, "--network", plain) == "10.80.0.2/24"
    finally:
        tinybox("network", "rm", plain)


def test_an_address_may_be_asked_for_outside_of_it(tinybox: Command, network: str) -> None:
    """--ip may be outside of the range, and never a reserved address."""
    assert address(tinybox, "--network", network, "--ip", "10.79.0.99") == "10.79.0.99/24"
    done = tinybox("run", "--rm", "--network", network, "--ip", "10.79.0.40", "busybox", "true")
    one_line(done, 125, "Address already in use", "it is reserved by --aux-address")


def test_inspect_shows_them(tinybox: Command, network: str) -> None:
    """`network inspect` has docker's IPRange and AuxiliaryAddresses; a network without them does not."""
    [known] = json.loads(tinybox("network", "inspect", network).stdout)
    [row] = known["IPAM"]["Config"]
    assert row["IPRange"] == "10.79.0.16/30"
    assert row["AuxiliaryAddresses"] == {"router": "10.79.0.17", "nas": "10.79.0.40"}
    assert "IPRange" not in json.loads(tinybox("network", "inspect", "bridge").stdout)[0]["IPAM"]["Config"][0]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (("--ip-range", "10.81.0.0/24"), "--ip-range 10.81.0.0/24: no matching subnet for range 10.81.0.0/24"),
        (("--ip-range", "10.79.0.7/24"), "--ip-range 10.79.0.7/24: invalid CIDR address"),
        (("--ip-range", "10.79.0.0/28", "--ip-range", "10.79.0.16/28"), "multiple overlapping ranges"),
        (("--aux-address", "x=10.81.0.1"), "--aux-address x=10.81.0.1: no matching subnet for aux-address"),
        (("--aux-address", "x"), "--aux-address x=: invalid IP address"),
        (("--ipv4=false",), "--ipv4=false: a network of IPv6 alone is not supported"),
    ],
)
def test_wrong_ranges_are_named(tinybox: Command, options: tuple[str, ...], error: str) -> None:
    """A range or an address that does not fit is one line, and no network is made."""
    name = f"wrong{os.getpid()}"
    one_line(tinybox("network", "create", "--subnet", SUBNET, *options, name), 1, error)
    assert name not in tinybox("network", "ls", "-q", "--no-trunc", "--format", "{{.Name}}").stdout


def test_compose_has_the_keys(tinybox: Command, tmp_path: Path) -> None:
    """`ip_range` and `aux_addresses` of a compose file make the same network."""
    (tmp_path / "compose.yaml").write_text(COMPOSE)
    compose = ("compose", "-f", str(tmp_path / "compose.yaml"), "-p", f"ranged{os.getpid()}")
    try:
        assert tinybox(*compose, "up", "-d").returncode == 0
        [known] = json.loads(tinybox("network", "inspect", f"ranged{os.getpid()}_lan").stdout)
        assert known["IPAM"]["Config"][0]["IPRange"] == "10.82.0.64/26"
        [member] = known["Containers"].values()
        assert member["IPv4Address"] == "10.82.0.65/24"
    finally:
        tinybox(*compose, "down", "-t", "0")


COMPOSE = """
services:
  one:
    image: busybox
    command: sleep 100
    networks: [lan]
networks:
  lan:
    ipam:
      config:
        - subnet: 10.82.0.0/24
          ip_range: 10.82.0.64/26
          aux_addresses: {router: 10.82.0.64}
"""
