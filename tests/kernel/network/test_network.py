"""A box in a network, on real links: which machines it reaches, which reach it, and that nothing is left."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.boxes import PATIENCE, facts, output, until
from tests.support.detached_boxes import life
from tests.support.network_boxes import addresses, bridged, everything, fetched, links, machine, same_as, web
from tests.support.second_host import HOST, MACHINE
from tinybox.container.network import pools, warnings

if TYPE_CHECKING:
    from tests.conftest import Command
    from tests.support.second_host import Machine

__all__ = ["bridged", "machine"]
pytestmark = pytest.mark.root

FOREVER = ("busybox", "sleep", "600")
PING = "ping -c 1 -w 15"
NO_ANSWER = "ping -c 1 -W 1"
IS_UP = "cat /sys/class/net/eth0/operstate"  # the kernel notices a carrier a moment after it is there
GATEWAY = "ip route | sed -n 's/default via \\([0-9.]*\\).*/\\1/p'"


def test_a_box_reaches_another_machine(bridged: Command, machine: Machine) -> None:
    """It connects to a machine that has no route to boxes, and that sees the host's address; --network none cannot."""
    with machine.listen(9000) as server:
        with bridged.start("run", "--rm", "busybox", "nc", "-w", "5", MACHINE, "9000") as box:
            connection, (address, _) = server.accept()
            connection.sendall(b"hello from outside\n")
            connection.close()
            out, err = box.communicate(timeout=PATIENCE)
        assert (box.returncode, out, err, address) == (0, "hello from outside\n", "", HOST)
        alone = bridged("run", "--rm", "--network", "none", "busybox", "nc", "-w", "5", MACHINE, "9000")
        assert "Network is unreachable" in alone.stderr


def test_the_network_seen_from_inside(bridged: Command) -> None:
    """An eth0 that is up, with an address, and a route by the host's bridge; afterwards all is gone."""
    before = everything()
    seen = facts(
        bridged,
        links="ls /sys/class/net",
        route="ip route",
        up=f"for i in $(seq 200); do [ $({IS_UP}) = up ] && break; sleep 0.05; done; {IS_UP}",
        gateway=f"{PING} $({GATEWAY}) | grep -c '1 packets received'",
    )
    assert seen["links"].split() == ["eth0", "lo"]
    assert (seen["up"], seen["gateway"]) == ("up", "1")
    first, second = seen["route"].splitlines()
    assert first.startswith("default via ")
    assert " dev eth0 " in second
    same_as(before)


def test_boxes_and_host_reach_each_other(bridged: Command) -> None:
    """Two boxes reach each other by address, the host both, and they the host; a box without a network reaches none."""
    with web(bridged, text="one") as one, web(bridged, text="two") as two:
        (first,), (second,) = addresses(one), addresses(two)
        assert first != second
        assert [fetched(first, 80), fetched(second, 80)] == ["one", "two"]
        assert one.inside(f"wget -qO- http://{second}") == "two"
        assert two.inside(f"wget -qO- http://{first}") == "one"
        with socket.create_server(("", 9001)) as server:
            server.settimeout(PATIENCE)
            gateway = one.inside(GATEWAY)
            with life(bridged, "busybox", "nc", gateway, "9001"):
                connection, (address, _) = server.accept()
                connection.close()
        assert address not in (first, second, gateway)
        alone = bridged("run", "--rm", "--network", "none", "busybox", "sh", "-c", f"{PING} {first} 2>&1")
        assert alone.returncode == 1


def test_a_veth_pair_has_two_ends(bridged: Command) -> None:
    """eth0 in the box is one end of a veth pair: each end names the other's number, and the host's is in tinybox0."""
    with life(bridged, *FOREVER) as box:
        inner = {name: int(box.inside(f"cat /sys/class/net/eth0/{name}")) for name in ("ifindex", "iflink")}
        outer = next(link for link in links().values() if link["ifindex"] == inner["iflink"])
        assert (outer["master"], outer["linkinfo"]["info_kind"]) == ("tinybox0", "veth")
        assert outer["link_index"] == inner["ifindex"]
        until(lambda: links()["tinybox0"]["operstate"] == "UP")


@pytest.mark.parametrize("mtu", [1280, 1500])
def test_the_mtu_is_that_of_the_default_route(bridged: Command, machine: Machine, mtu: int) -> None:
    """A box's link carries packets as large as the host's default route does, and no larger."""
    machine.set_mtu(mtu)
    assert output(bridged, "busybox", "cat", "/sys/class/net/eth0/mtu") == f"{mtu}\n"


def test_boxes_are_not_reachable_from_outside(bridged: Command, machine: Machine) -> None:
    """Another machine that sends packets to a box's address by way of the host gets no answer; the host does."""
    with web(bridged) as box:
        (address,) = addresses(box)
        machine.run("ip", "route", "replace", f"{address}/32", "via", HOST)
        assert machine.run("busybox", *PING.split(), HOST).returncode == 0
        assert machine.run("busybox", *NO_ANSWER.split(), address).returncode == 1
        assert fetched(address, 80) == "hello"


def test_forwarding_is_restored(bridged: Command) -> None:
    """The host forwards packets while there is a box; afterwards only if it did so before."""
    switch = Path("/proc/sys/net/ipv4/ip_forward")
    for former in ("0\n", "1\n"):
        switch.write_text(former)
        with life(bridged, *FOREVER):
            assert switch.read_text() == "1\n"
        assert switch.read_text() == former
    switch.write_text("0\n")


def test_forwarding_is_reported_once(bridged: Command) -> None:
    """The first box after a boot prints on stderr that the host now forwards packets; the second prints nothing."""
    told = Path(pools.folder(), warnings.TOLD)
    told.unlink()
    first, second = (bridged("run", "--rm", "busybox", "true") for _ in range(2))
    assert (first.returncode, first.stderr.count("\n"), second.stderr) == (0, 1, "")
    assert "net.ipv4.ip_forward" in first.stderr
    assert told.exists()
