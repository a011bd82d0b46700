"""The pool of addresses, with real processes and locks: no address is used twice, and none stays taken."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.boxes import PATIENCE
from tinybox.container.network import addresses, definitions, making, pools
from tinybox.container.network.making import NetworkOptions
from tinybox.container.records.paths import Paths
from tinybox.errors import StateError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tinybox.container.network.definitions import Network

pytestmark = pytest.mark.root


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """Give a store of its own."""
    made = Paths(str(tmp_path / "store"))
    made.prepare()
    return made


def network_of(paths: Paths, subnet: str, *, ipv6: bool = False) -> Iterator[Network]:
    """Make a network, and remove its pool afterwards."""
    made = making.create(paths, "lab", NetworkOptions([subnet], ipv6=ipv6))
    yield made
    with pools.Pool(made.bridge) as pool:
        pool.reclaim()
        pool.remove()
    assert not os.path.exists(pool.path)


@pytest.fixture
def small(paths: Paths) -> Iterator[Network]:
    """Give a network for five boxes."""
    yield from network_of(paths, "10.77.0.0/29")


@pytest.fixture
def large(paths: Paths) -> Iterator[Network]:
    """Give a network for many boxes, with IPv6."""
    yield from network_of(paths, "10.78.0.0/16", ipv6=True)


def number_of(number: int) -> str:
    """Return an id that differs from others in the part that names show."""
    return f"{number:09x}".ljust(64, "0")


@contextlib.contextmanager
def owner(paths: Paths, number: int) -> Iterator[str]:
    """Lock a container for a while, as its monitor does: its run directory is there, with the lock held here."""
    container = number_of(number)
    os.makedirs(paths.run_directory(container))
    with open(os.path.join(paths.run_directory(container), "lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield container


def ip(*words: str) -> None:
    """Run ip(8)."""
    subprocess.run(["ip", *words], check=True, timeout=PATIENCE)


def lease(paths: Paths, network: Network, container: str, **want: str) -> str:
    """Lease an address and return it without its prefix."""
    return addresses.lease(paths, network, container, {"name": network.name, **want}).address.partition("/")[0]  # type: ignore[typeddict-item]


def test_many_at_once(paths: Paths, large: Network) -> None:
    """Forty processes that ask at the same moment get forty addresses, of both families; all are released."""
    gate_out, gate_in = os.pipe()
    pids = []
    for number in range(40):
        pid = os.fork()
        if pid == 0:
            os.close(gate_in)
            os.read(gate_out, 1)  # until the parent closes its end
            status = 1
            with contextlib.suppress(BaseException):
                context = owner(paths, number)
                lease(paths, large, context.__enter__())
                status = 0
                os.kill(os.getpid(), signal.SIGSTOP)  # keep the lock while the parent reads
            os._exit(status)
        pids.append(pid)
    os.close(gate_in)
    os.close(gate_out)
    for pid in pids:
        assert os.WIFSTOPPED(os.waitpid(pid, os.WUNTRACED)[1])
    ends = [end for number in range(40) for end in addresses.endpoints(paths, number_of(number))]
    with pools.Pool(large.bridge) as pool:
        leases = pool.leases()
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    assert len({end.address for end in ends}) == len({end.address6 for end in ends}) == 40
    assert len({end.mac for end in ends}) == len({end.link for end in ends}) == 40
    assert len(leases) == 80
    for number in range(40):
        assert len(addresses.give_back(paths, number_of(number))) == 1
    with pools.Pool(large.bridge) as pool:
        assert pool.leases() == {}


def test_a_released_address_is_used_last(paths: Paths, small: Network) -> None:
    """The next address is the one after the last given, all the way round."""
    given = []
    with owner(paths, 1) as container:
        for _ in range(7):
            given.append(lease(paths, small, container))
            addresses.give_back(paths, container)
    assert given == [f"10.77.0.{number}" for number in (2, 3, 4, 5, 6, 2, 3)]


def test_a_full_network(paths: Paths, small: Network) -> None:
    """Gateway, first and last address are never given; with none left there is an error; a dead box frees its own."""
    with contextlib.ExitStack() as living:
        taken = [lease(paths, small, living.enter_context(owner(paths, number))) for number in range(4)]
        with owner(paths, 4) as mortal:
            taken.append(lease(paths, small, mortal))
            with owner(paths, 5) as late, pytest.raises(StateError, match="no available IPv4 addresses"):
                lease(paths, small, late)
        assert sorted(taken) == [f"10.77.0.{number}" for number in range(2, 7)]
        with owner(paths, 6) as heir:  # container 4 has no owner any more
            assert lease(paths, small, heir) == taken[-1]
        for number in (0, 1, 2, 3, 6):
            addresses.give_back(paths, number_of(number))


def test_a_requested_address(paths: Paths, small: Network) -> None:
    """--ip gets it; for a second box the error names the owner; gateway and foreign addresses are refused."""
    with owner(paths, 1) as one, owner(paths, 2) as two:
        assert lease(paths, small, one, address="10.77.0.5") == "10.77.0.5"
        with pytest.raises(
            StateError, match=r"Address already in use on network lab \(container 000000001000 has it\)"
        ):
            lease(paths, small, two, address="10.77.0.5")
        with pytest.raises(StateError, match="it is the gateway's"):
            lease(paths, small, two, address="10.77.0.1")
        for outside in ("10.77.0.0", "10.77.0.7", "10.77.1.2"):
            with pytest.raises(UsageError, match="no configured subnet contains IP address"):
                lease(paths, small, two, address=outside)
        assert addresses.endpoints(paths, two) == []  # a refused request has left nothing
    with owner(paths, 3) as heir:
        assert lease(paths, small, heir, address="10.77.0.5") == "10.77.0.5"
        addresses.give_back(paths, heir)


def test_two_stores_share_a_bridge(paths: Paths, tmp_path: Path) -> None:
    """The default bridge belongs to the host: two stores on it get different addresses; each frees only its own."""
    other = Paths(str(tmp_path / "other"))
    other.prepare()
    bridge = definitions.find(paths, "bridge")
    with owner(paths, 1) as one, owner(other, 1) as same_id:
        assert lease(paths, bridge, one) != lease(other, bridge, same_id)
        addresses.give_back(paths, one)
        with pools.Pool(bridge.bridge) as pool:
            assert list(pool.leases().values()) == [other.run_directory(same_id)]
        addresses.give_back(other, same_id)
    with pools.Pool(bridge.bridge) as pool:
        assert pool.leases() == {}
        pool.remove()


def test_the_default_subnet_avoids_the_host_s(paths: Paths) -> None:
    """A host with a route into 172.30.0.0/16 gets another subnet for `bridge`, which stays while a box is on it."""
    bridge = definitions.find(paths, "bridge")
    with owner(paths, 1) as one, owner(paths, 2) as two:
        first = lease(paths, bridge, one)
        ip("link", "add", "other", "type", "bridge")
        ip("address", "add", "172.30.9.1/24", "dev", "other")
        ip("link", "set", "other", "up")
        second = lease(paths, bridge, two)
        for container in (one, two):
            addresses.give_back(paths, container)
        third = lease(paths, bridge, one)
        addresses.give_back(paths, one)
        ip("link", "delete", "other")
    assert [first[:7], second[:7], third[:7]] == ["172.30.", "172.30.", "172.29."]
    with pools.Pool(bridge.bridge) as pool:
        pool.remove()


def test_the_fields_of_an_endpoint(paths: Paths, large: Network) -> None:
    """Interfaces are numbered in order; the MAC is made of the address; names fit IFNAMSIZ."""
    with owner(paths, 0xABC) as container:
        first, second = (addresses.lease(paths, large, container, {"name": "lab", "aliases": ["a"]}) for _ in range(2))
        assert (first.interface, second.interface) == ("eth0", "eth1")
        assert (first.address, first.gateway, first.mac) == ("10.78.0.2/16", "10.78.0.1", "02:42:0a:4e:00:02")
        assert first.address6 == large.subnet6.replace("::/", "::2/")
        assert max(len(end.link) for end in (first, second)) <= 15
        assert [vars(end) for end in addresses.endpoints(paths, container)] == [vars(first), vars(second)]
        addresses.give_back(paths, container)
