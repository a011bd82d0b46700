"""Published ports: from another machine, from the host by each of its addresses, and from a box through the host."""

from __future__ import annotations

import socket
import subprocess
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.boxes import PATIENCE, one_line, until
from tests.support.detached_boxes import life, stdout_of
from tests.support.network_boxes import (
    addresses,
    bridged,
    echoes,
    everything,
    fetched,
    listens,
    machine,
    page,
    same_as,
    web,
)
from tests.support.second_host import HOST, HOST6, MACHINE
from tinybox.isolation.network import conntrack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Command
    from tests.support.second_host import Machine

__all__ = ["bridged", "machine"]
pytestmark = pytest.mark.root


BRIDGES_ASK = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")  # each network namespace has its own


def refused(address: str, port: int) -> bool:
    """Tell whether a connection from this host is refused."""
    try:
        socket.create_connection((address, port), timeout=PATIENCE).close()
    except ConnectionRefusedError:
        return True
    return False


@pytest.mark.parametrize("filtered", ["0", "1"])
def test_a_published_port_is_reached_from_everywhere(bridged: Command, machine: Machine, filtered: str) -> None:
    """From another machine, the host's own address, 127.0.0.1, another box, the box itself; another port from none.

    With bridges that pass their packets to the firewall and without: br_netfilter.
    """
    if BRIDGES_ASK.exists():
        BRIDGES_ASK.write_text(filtered)
    before = everything()
    with web(bridged, "-p", "8080:80") as box:
        assert page(machine.connect(HOST, 8080)) == "hello"
        assert [fetched(address, 8080) for address in (HOST, "127.0.0.1", "127.0.0.5")] == ["hello"] * 3
        ask = f"wget -qO- http://{HOST}:8080"
        assert stdout_of(bridged, "run", "--rm", "busybox", "sh", "-c", ask) == "hello\n"
        assert box.inside(ask) == "hello"
        assert refused(HOST, 8081)
        with pytest.raises(ConnectionRefusedError):
            machine.connect(HOST, 8081)
    assert refused(HOST, 8080)
    same_as(before)


def test_a_port_can_be_published_on_loopback_alone(bridged: Command, machine: Machine) -> None:
    """Published at 127.0.0.1 it is reached from the host alone, even if another machine sends to 127.0.0.1."""
    with web(bridged, "-p", "127.0.0.1:8080:80"):
        assert fetched("127.0.0.1", 8080) == "hello"
        assert refused(HOST, 8080)
        with pytest.raises(ConnectionRefusedError):
            machine.connect(HOST, 8080)
        machine.run("sysctl", "-qw", "net.ipv4.conf.all.route_localnet=1")
        machine.run("ip", "address", "del", "127.0.0.1/8", "dev", "lo")
        machine.run("ip", "route", "add", "127.0.0.0/8", "via", HOST)
        done = machine.run("curl", "-s", "-m", "2", "--interface", MACHINE, "http://127.0.0.1:8080")
        assert (done.returncode, done.stdout) == (28, ""), done


def test_the_host_s_loopback_is_closed_to_boxes(bridged: Command) -> None:
    """A server on the host's 127.0.0.1 is not reached by a box that sends packets there: a rule counts them."""
    with web(bridged, "-p", "8080:80") as box, socket.create_server(("127.0.0.1", 9001)) as server:
        server.settimeout(0.1)  # the client has given up by then: its packets have arrived, or were dropped
        gateway = box.inside("ip route").split()[2]
        with life(bridged, "--privileged", "busybox", "sleep", "600") as other:
            other.inside("echo 1 > /proc/sys/net/ipv4/conf/all/route_localnet")
            other.inside(f"ip addr del 127.0.0.1/8 dev lo; ip route add 127.0.0.0/8 via {gateway}")
            asked = ["exec", other.name, "nc", "-w", "2", "127.0.0.1", "9001"]
            assert bridged(*asked, text="x").returncode == 1
        with pytest.raises(TimeoutError):
            server.accept()
        rules = subprocess.run(["nft", "list", "chain", "inet", "tinybox", "forged"], capture_output=True, check=True)
        assert b"packets 0" not in rules.stdout


def test_udp(bridged: Command, machine: Machine) -> None:
    """Datagrams reach the box and its answers come back, for another machine and by 127.0.0.1."""
    echo = "nc -u -l -p 53 -e cat"
    ours = partial(socket.socket, socket.AF_INET, socket.SOCK_DGRAM)
    for make, address in ((machine.datagrams, HOST), (ours, "127.0.0.1")):
        with make() as client, life(bridged, "-p", "5353:53/udp", "alpine", "sh", "-c", echo) as box:
            until(partial(listens, box, "udp", 53))
            until(partial(echoes, client, b"are you there?", address, 5353))


@pytest.fixture
def six(bridged: Command) -> Iterator[str]:
    """Give the name of a network with IPv6."""
    stdout_of(bridged, "network", "create", "--ipv6", "six")
    yield "six"
    stdout_of(bridged, "network", "rm", "six")


def test_a_port_published_for_ipv6(bridged: Command, machine: Machine, six: str) -> None:
    """Another machine, the host by its own address, another box and the box itself reach it by IPv6 as by IPv4.

    ::1, from which the kernel lets no packet leave, and other ports are refused; after the end all are.
    """
    before = everything()
    with web(bridged, "--network", six, "-p", "8080:80") as box:
        assert [page(machine.connect(address, 8080)) for address in (HOST6, HOST)] == ["hello"] * 2
        assert [fetched(address, 8080) for address in (HOST6, HOST)] == ["hello"] * 2
        ask = f"wget -qO- http://[{HOST6}]:8080"
        assert stdout_of(bridged, "run", "--rm", "--network", six, "busybox", "sh", "-c", ask) == "hello\n"
        assert box.inside(ask) == "hello"
        assert refused("::1", 8080)
        for address, port in ((HOST6, 8081), (HOST6, 80)):
            with pytest.raises(ConnectionRefusedError):
                machine.connect(address, port)
    with pytest.raises(ConnectionRefusedError):
        machine.connect(HOST6, 8080)
    same_as(before)


def test_a_port_published_at_one_address_of_ipv6(bridged: Command, machine: Machine, six: str) -> None:
    """Published at the host's IPv6 address it is reached there, not by IPv4; without IPv6 in its network, never."""
    with web(bridged, "--network", six, "-p", f"[{HOST6}]:8080:80"):
        assert [page(machine.connect(HOST6, 8080)), fetched(HOST6, 8080)] == ["hello"] * 2
        assert refused(HOST, 8080)
    with web(bridged, "-p", "8080:80"):
        assert page(machine.connect(HOST, 8080)) == "hello"
        with pytest.raises(ConnectionRefusedError):
            machine.connect(HOST6, 8080)


def test_a_udp_client_finds_the_restarted_box(bridged: Command, machine: Machine) -> None:
    """One socket goes on sending while the box stops and starts: stale conntrack entries are removed."""
    echo = "nc -u -l -p 53 -e cat"
    with (
        machine.datagrams() as client,
        life(bridged, "busybox", "sleep", "600"),  # so the pool stays, and each start gets another address
        life(bridged, "-p", "5353:53/udp", "alpine", "sh", "-c", f"while :; do {echo}; done") as box,
    ):
        places = []
        for said_now in (b"are you there?", b"and now?"):
            until(partial(listens, box, "udp", 53))
            until(partial(echoes, client, said_now, HOST, 5353))
            places += addresses(box)
            stdout_of(bridged, "stop", "-t", "0", box.name)
            client.sendto(b"nobody is", (HOST, 5353))
            known = partial(conntrack.known, socket.AF_INET, socket.IPPROTO_UDP, 5353)
            until(known)  # the control: the stale entry exists
            stdout_of(bridged, "start", box.name)
        assert places[0] != places[1]


def test_a_port_in_use_is_found_before_anything_is_made(bridged: Command) -> None:
    """One line with the port, status 125, and no link, rule or container is made; later the port is free."""
    with socket.create_server(("127.0.0.1", 8080)):
        before = everything()
        done = bridged("run", "--rm", "-p", "8080:80", "busybox", "true")
        one_line(done, 125, "0.0.0.0:8080", "address already in use")
        assert everything() == before
    with web(bridged, "-p", "8080:80"):
        one_line(bridged("run", "--rm", "-p", "127.0.0.1:8080:80", "busybox", "true"), 125, "already in use")
        with pytest.raises(OSError, match="in use"):
            socket.create_server(("", 8080))
    socket.create_server(("", 8080)).close()


def test_a_port_is_chosen(bridged: Command) -> None:
    """Without a port of the host a free one is taken, which `port` names; of a range the first that is free."""
    with web(bridged, "-p", "80", "-p", "8100-8102:80") as box, web(bridged, "-p", "8100-8102:80", text="two") as two:
        lines = stdout_of(bridged, "port", box.name).splitlines()
        chosen = sorted(int(line.rpartition(":")[2]) for line in lines)
        assert fetched("127.0.0.1", chosen[-1]) == "hello"
        assert stdout_of(bridged, "port", two.name) == "80/tcp -> 0.0.0.0:8101\n"
        assert [fetched("127.0.0.1", port) for port in (8100, 8101)] == ["hello", "two"]


def test_it_is_published_again_at_each_start(bridged: Command, machine: Machine) -> None:
    """Stopped it is refused, started again it is reached, whichever address the box has then."""
    with web(bridged, "-p", "8080:80") as box, life(bridged, "busybox", "sleep", "600"):
        stdout_of(bridged, "stop", "-t", "0", box.name)
        assert refused(HOST, 8080)
        stdout_of(bridged, "start", box.name)
        until(lambda: listens(box))
        assert page(machine.connect(HOST, 8080)) == "hello"
        assert len(addresses(box)) == 1


def test_flushed_rules_come_back(bridged: Command, machine: Machine) -> None:
    """If all rules were flushed, the next box restores those of all boxes, and removes no rule of other programs."""
    with web(bridged, "-p", "8080:80"):
        subprocess.run(["nft", "flush", "ruleset"], check=True)
        subprocess.run(["nft", "add", "table", "ip", "others"], check=True)
        with life(bridged, "busybox", "sleep", "600"):
            assert page(machine.connect(HOST, 8080)) == "hello"
    left = subprocess.run(["nft", "list", "ruleset"], check=True, capture_output=True, text=True).stdout
    subprocess.run(["nft", "delete", "table", "ip", "others"], check=True)
    assert left.split() == ["table", "ip", "others", "{", "}"]
