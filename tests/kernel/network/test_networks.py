"""User-defined networks: separate from each other, closed with --internal, with IPv6 on request."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.conftest import Command
from tests.support import no_trace
from tests.support.boxes import one_line
from tests.support.detached_boxes import stdout_of
from tests.support.network_boxes import addresses, bridged, everything, fetched, machine, same_as, web
from tests.support.second_host import MACHINE

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.second_host import Machine

__all__ = ["bridged", "machine"]
pytestmark = pytest.mark.root

PING = "ping -c 1 -w 15"
NO_ANSWER = "ping -c 1 -W 1"  # where no answer is expected: the control next to it answers much sooner


def test_an_internal_network_is_closed(bridged: Command, machine: Machine) -> None:
    """Boxes on it reach each other, and nothing else; those on another network reach the machine outside."""
    before = everything()
    stdout_of(bridged, "network", "create", "--internal", "closed")
    try:
        with web(bridged, "--network", "closed") as box:
            (address,) = addresses(box)
            within = ("run", "--rm", "--network", "closed", "busybox", "sh", "-c")
            assert stdout_of(bridged, *within, f"wget -qO- http://{address}") == "hello\n"
            assert bridged(*within, f"{NO_ANSWER} {MACHINE} 2>/dev/null").returncode == 1
            assert (
                bridged(*within, f"ip route add default via {address}; {NO_ANSWER} {MACHINE} 2>/dev/null").returncode
                == 1
            )
            other = bridged("run", "--rm", "busybox", "sh", "-c", f"{NO_ANSWER} {address}")
            assert other.returncode == 1
            assert bridged("run", "--rm", "busybox", "sh", "-c", f"{PING} {MACHINE}").returncode == 0
    finally:
        stdout_of(bridged, "network", "rm", "closed")
    same_as(before)


def test_networks_are_apart(bridged: Command) -> None:
    """A box on one network does not reach a box on another; a box on both reaches both."""
    stdout_of(bridged, "network", "create", "left")
    stdout_of(bridged, "network", "create", "right")
    try:
        with (
            web(bridged, "--network", "left", text="left") as left,
            web(bridged, "--network", "right", text="right") as right,
        ):
            places = [*addresses(left), *addresses(right)]
            assert left.inside(f"{NO_ANSWER} {places[1]} >/dev/null || echo none") == "none"
            ask = "; ".join(f"wget -qO- http://{place}" for place in places)
            both = stdout_of(
                bridged, "run", "--rm", "--network", "left", "--network", "right", "busybox", "sh", "-c", ask
            )
            assert both == "left\nright\n"
    finally:
        stdout_of(bridged, "network", "rm", "left", "right")


def test_two_stores_do_not_get_the_same_addresses(bridged: Command, store_root: Path, tmp_path: Path) -> None:
    """Each store chooses for itself; the second one gets an error, and the box of the first keeps its way out."""
    other = Command(tmp_path)
    other.environment = {**bridged.environment, "TINYBOX_ROOT": str(tmp_path)}
    for name in ("images", "layers", "names"):
        shutil.copytree(store_root / name, tmp_path / name, symlinks=True)
    before = everything()
    stdout_of(bridged, "network", "create", "--subnet", "10.57.0.0/16", "ours")
    try:
        stdout_of(other, "network", "create", "--subnet", "10.57.0.0/16", "theirs")
        with web(bridged, "--network", "ours") as box:
            one_line(
                other("run", "--rm", "--network", "theirs", "busybox", "true"),
                125,
                "network theirs: another store has a network with addresses of 10.57.0.0/16 on this host",
            )
            assert any("10.57.0.0/16" in line for line in no_trace.ruleset()["nft rule"])  # so it is masqueraded
            assert fetched(addresses(box)[0], 80) == "hello"
        stdout_of(other, "run", "--rm", "--network", "theirs", "busybox", "true")  # the control
    finally:
        stdout_of(bridged, "network", "rm", "ours")
    same_as(before)


def test_ipv6(bridged: Command, machine: Machine) -> None:
    """On a network with IPv6 boxes have an address of each kind, and reach each other, the host and beyond by both."""
    stdout_of(bridged, "network", "create", "--ipv6", "six")
    try:
        with web(bridged, "--network", "six") as box:
            (address,) = addresses(box, 6)
            assert fetched(address, 80) == "hello"
            within = ("run", "--rm", "--network", "six", "busybox", "sh", "-c")
            assert stdout_of(bridged, *within, f"wget -qO- http://[{address}]") == "hello\n"
            assert bridged(*within, f"ping6 -c 1 -w 15 {machine.address6}").returncode == 0
            assert bridged(*within, f"{PING} {MACHINE}").returncode == 0
    finally:
        stdout_of(bridged, "network", "rm", "six")
