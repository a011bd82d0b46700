"""Making networks: which subnets are chosen, and what docker would refuse. No kernel object is made here."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

import pytest

from tinybox.container.network import definitions, making, subnets
from tinybox.container.network.making import NetworkOptions
from tinybox.container.records.paths import Paths
from tinybox.errors import StateError, TinyboxError, UsageError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    """Give a store with no networks, on a host whose one route is 172.19.0.0/16."""
    routes = tmp_path / "routes"
    routes.write_text("Iface\tDestination\nlan0\t000013AC\t0\t1\t0\t0\t0\t0000FFFF\t0\t0\t0\n")
    monkeypatch.setattr(subnets, "ROUTES", str(routes))
    return Paths(str(tmp_path / "store"))


def test_the_defaults(paths: Paths) -> None:
    """Each network gets the next of docker's subnets; one to which the host has a route is skipped."""
    made = [making.create(paths, name, NetworkOptions()) for name in ("one", "two", "three")]
    assert [network.subnet for network in made] == ["172.18.0.0/16", "172.20.0.0/16", "172.21.0.0/16"]
    assert [network.gateway for network in made] == ["172.18.0.1", "172.20.0.1", "172.21.0.1"]
    assert all(len(network.bridge) == 15 and network.id.startswith(network.bridge[3:]) for network in made)
    assert len({network.id for network in made}) == 3


def test_it_is_found_again(paths: Paths) -> None:
    """By name, by id, by the beginning of an id, with all its options; another name finds none."""
    wish = NetworkOptions(["10.9.0.0/24"], ["10.9.0.254"], internal=True, labels={"a": "b"}, options={"mtu": "1400"})
    made = making.create(paths, "lab", wish)
    for word in ("lab", made.id, made.id[:12]):
        assert vars(definitions.find(paths, word)) == vars(made)
    assert (made.gateway, made.internal, made.mtu, made.labels) == ("10.9.0.254", True, 1400, {"a": "b"})
    with pytest.raises(StateError, match="network la: not found"):
        definitions.find(paths, "la")


def test_both_families(paths: Paths) -> None:
    """--ipv6 alone chooses a random subnet of RFC 4193; --subnet and --gateway are for either family."""
    found = [making.create(paths, name, NetworkOptions(ipv6=True)).subnet6 for name in ("aa", "bb")]
    chosen = [ipaddress.IPv6Network(subnet) for subnet in found]
    assert all(subnet.subnet_of(ipaddress.IPv6Network("fd00::/8")) and subnet.prefixlen == 64 for subnet in chosen)
    assert chosen[0] != chosen[1]
    made = making.create(paths, "cc", NetworkOptions(["fd77::/64", "10.9.0.0/24"], ["fd77::7"]))
    assert (made.subnet, made.gateway, made.subnet6, made.gateway6) == (
        "10.9.0.0/24", "10.9.0.1", "fd77::/64", "fd77::7",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "wish", "said"),
    [
        ("bridge", NetworkOptions(), "operation is not permitted on predefined networks"),
        ("former", NetworkOptions(), "network with name former already exists"),
        ("a/b", NetworkOptions(), "is not allowed"),
        ("new", NetworkOptions(["10.1.0.0/24"]), "Pool overlaps with other one on this address space: 10.1.0.0/16"),
        ("new", NetworkOptions(["172.19.7.0/24"]), "Pool overlaps with other one on this address space: 172.19.0.0/16"),
        ("new", NetworkOptions(["fd01::/48"]), "Pool overlaps with other one on this address space: fd01::/64"),
        ("new", NetworkOptions(["10.2.0.1/16"]), "invalid subnet 10.2.0.1/16 (it should be 10.2.0.0/16)"),
        ("new", NetworkOptions(["10.2.0.0"]), "invalid subnet 10.2.0.0"),
        ("new", NetworkOptions(["10.2.0.0/33"]), "invalid CIDR address: 10.2.0.0/33"),
        ("new", NetworkOptions(["10.2.0.0/31"]), "is too small for a gateway and a box"),
        ("new", NetworkOptions(["10.2.0.0/24", "10.3.0.0/24"]), "bridge driver doesn't support multiple subnets"),
        ("new", NetworkOptions(["10.2.0.0/24"], ["10.3.0.1"]), "no matching subnet for gateway 10.3.0.1"),
        ("new", NetworkOptions(["10.2.0.0/24"], ["10.2.0.255"]), "is the first or last address of 10.2.0.0/24"),
        ("new", NetworkOptions(["10.2.0.0/24"], ["x"]), "invalid IP address: x"),
        ("new", NetworkOptions(options={"mtu": "67"}), "is not an MTU: write a number from 68 to 65535"),
        ("new", NetworkOptions(options={"mtu": "1279"}, ipv6=True), "is not an MTU: write a number from 1280 to 65535"),
        ("new", NetworkOptions(options={"colour": "red"}), "--opt colour=red: is unknown"),
    ],
)
def test_refused_options(paths: Paths, name: str, wish: NetworkOptions, said: str) -> None:
    """One line with the reason, and nothing is made."""
    making.create(paths, "former", NetworkOptions(["10.1.0.0/16", "fd01::/64"]))
    before = [network.name for network in definitions.every(paths)]
    with pytest.raises(TinyboxError) as caught:
        making.create(paths, name, wish)
    assert said in str(caught.value)
    assert [network.name for network in definitions.every(paths)] == before


def test_when_all_subnets_are_taken(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    """With no default subnet left there is docker's error; an explicit one still works."""
    monkeypatch.setattr(making, "POOLS", ("172.18.0.0/16", "172.19.0.0/16"))
    making.create(paths, "last", NetworkOptions())
    with pytest.raises(StateError, match="non-overlapping IPv4 address pool"):
        making.create(paths, "more", NetworkOptions())
    assert making.create(paths, "more", NetworkOptions(["10.0.0.0/8"])).subnet == "10.0.0.0/8"


def test_predefined_networks(paths: Paths) -> None:
    """bridge, host and none are listed beside the user-defined ones, and are found without any file."""
    assert [(network.name, network.driver) for network in definitions.every(paths)] == [
        ("bridge", "bridge"), ("host", "host"), ("none", "null"),
    ]  # fmt: skip
    assert definitions.find(paths, "bridge").bridge == "tinybox0"
    with pytest.raises(UsageError, match="network name"):
        definitions.save(paths, definitions.Network("no/path"))
