"""Names of boxes: real lookups, and the hosts files, which are updated while boxes start and end."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conftest import Command
from tests.support.boxes import PATIENCE, facts, new_name, one_line, output, until
from tests.support.detached_boxes import kill_and_wait, life, stdout_of
from tests.support.slowness import SLOWNESS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.detached_boxes import Life

pytestmark = pytest.mark.root

IDLE = ("busybox", "sleep", "600")
ECHO = ("busybox", "sh", "-c", "mkdir /www; hostname > /www/index.html; exec httpd -f -h /www")


@pytest.fixture
def lab(tinybox: Command) -> Iterator[str]:
    """Give the name of a user-defined network; afterwards assert that nothing of it is left."""
    name = f"lab{os.getpid()}"
    stdout_of(tinybox, "network", "create", name)
    yield name
    assert stdout_of(tinybox, "network", "rm", name) == f"{name}\n"


def finds(box: Life, name: str) -> str:
    """Return the address that the resolver in *box* finds for *name*, or its error message."""
    done = box.tinybox("exec", box.name, "ping", "-c", "1", "-w", "15", name)
    return done.stdout.partition("(")[2].partition(")")[0] if done.returncode == 0 else done.stderr


def knows(box: Life, name: str) -> bool:
    """Tell whether the hosts file of *box* has *name*; a lookup would ask name servers and wait for them."""
    return name in box.inside("cat /etc/hosts").split()


def address(box: Life, network: str) -> str:
    """Return its address in *network*, from `inspect`."""
    told = json.loads(stdout_of(box.tinybox, "inspect", box.name))[0]
    return str(told["NetworkSettings"]["Networks"][network]["IPAddress"])


def test_names_that_come_and_go(tinybox: Command, lab: str) -> None:
    """By name, alias and short id, both ways; also one that starts later; renamed it has the new name; ended, none."""
    with life(tinybox, "--network", lab, "--dns", "127.0.0.1", *IDLE) as early:  # no name server: an error at once
        assert "bad address" in finds(early, "db")
        with life(tinybox, "--network", lab, "--network-alias", "db", "--network-alias", "sql", *IDLE) as late:
            own = address(late, lab)
            assert [finds(early, word) for word in (late.name, "db", "sql", late.id[:12])] == [own] * 4
            assert finds(late, early.name) == address(early, lab)
            assert finds(late, late.name) == finds(late, "db") == own
            renamed = new_name()
            stdout_of(tinybox, "rename", late.name, renamed)
            assert finds(early, renamed) == own
            assert not knows(early, late.name)
        until(lambda: not knows(early, "db"))
        assert not knows(early, renamed)


def test_a_page_by_name(tinybox: Command, lab: str) -> None:
    """A page is fetched from a box by its name, and the page contains that box's own host name."""
    with life(tinybox, "--network", lab, "--network-alias", "www", *ECHO) as web:
        script = "until wget -qO- http://www 2> /dev/null; do :; done"
        assert output(tinybox, "--network", lab, "busybox", "sh", "-c", script) == f"{web.id[:12]}\n"


def test_the_default_bridge_has_no_names(tinybox: Command, lab: str) -> None:
    """On `bridge` boxes know only their own name, as with docker, also a box that is on another network, too."""
    with life(tinybox, "--network", "bridge", *IDLE) as one, life(tinybox, "--network", "bridge", *IDLE) as two:
        assert not knows(one, two.name)
        assert finds(one, one.id[:12]) == address(one, "bridge")
        with life(tinybox, "--network", lab, "--network", "bridge", *IDLE) as both:
            assert not knows(both, two.name)
            assert not knows(two, both.name)
            assert finds(both, both.name) == address(both, lab)


def test_connect_and_disconnect(tinybox: Command, lab: str) -> None:
    """A running box gets a second interface, and its alias there is known; disconnected it has one, and no alias."""
    second = f"{lab}-second"
    stdout_of(tinybox, "network", "create", "--subnet", "10.66.0.0/24", second)
    with life(tinybox, "--network", lab, *IDLE) as box, life(tinybox, "--network", second, *IDLE) as other:
        assert not knows(other, "guest")
        stdout_of(tinybox, "network", "connect", "--ip", "10.66.0.77", "--alias", "guest", second, box.name)
        assert finds(other, "guest") == address(box, second) == "10.66.0.77"
        assert finds(box, other.name) == address(other, second)
        assert box.inside("ls /sys/class/net").split() == ["eth0", "eth1", "lo"]
        again = tinybox("network", "connect", second, box.name)
        one_line(again, 1, f"container {box.name}", f"endpoint already exists in network {second}")
        stdout_of(tinybox, "network", "disconnect", second, box.name)
        assert not knows(other, "guest")
        assert box.inside("ls /sys/class/net").split() == ["eth0", "lo"]
        one_line(tinybox("network", "disconnect", second, box.name), 1, f"is not connected to network {second}")
        asked = ("events", "--since", "10m", "--until", "0s", "--filter", f"container={box.name}", "--filter")
        style = "{{.Action}} {{.Actor.Attributes.name}} {{.Actor.Attributes.container}}"
        told = stdout_of(tinybox, *asked, f"network={second}", "--format", style).splitlines()
        assert told == [f"{action} {second} {box.id}" for action in ("connect", "disconnect")]
        assert f"connect {second}" not in stdout_of(tinybox, *asked, f"network={lab}-x", "--format", style)
    stdout_of(tinybox, "network", "rm", second)


def test_the_default_route(tinybox: Command, lab: str) -> None:
    """A box that leaves one network is routed by the next one; a box of only an internal network gets a route."""
    inner, way = f"{lab}-inner", "ip route | sed -n 's/^default .* dev \\(eth.\\).*/\\1/p'"
    stdout_of(tinybox, "network", "create", "--internal", inner)
    with life(tinybox, "--network", inner, *IDLE) as box:
        ways = []
        for words in (("connect", lab), ("connect", "bridge"), ("disconnect", lab), ("disconnect", "bridge")):
            ways.append(box.inside(way))
            stdout_of(tinybox, "network", *words, box.name)
        assert [*ways, box.inside(way)] == ["", "eth1", "eth1", "eth2", ""]
    stdout_of(tinybox, "network", "rm", inner)


def test_it_is_connected_again_at_its_next_start(tinybox: Command, lab: str) -> None:
    """A connection, made running or not, is kept by the box: it is there after a restart; a removed one is not."""
    with life(tinybox, "--network", "bridge", *IDLE, verb="create") as box:
        stdout_of(tinybox, "network", "connect", lab, box.name)
        stdout_of(tinybox, "start", box.name)
        assert box.inside("ls /sys/class/net").split() == ["eth0", "eth1", "lo"]
        stdout_of(tinybox, "network", "disconnect", "bridge", box.name)
        stdout_of(tinybox, "restart", "-t", "0", box.name)
        assert box.inside("ls /sys/class/net").split() == ["eth0", "lo"]
        assert list(json.loads(stdout_of(tinybox, "inspect", box.name))[0]["NetworkSettings"]["Networks"]) == [lab]


def test_published_ports_outlive_a_change_of_networks(tinybox: Command, lab: str) -> None:
    """A published port leads into the box whichever networks it joins and leaves, by rules that stay."""
    other = f"{lab}-other"
    stdout_of(tinybox, "network", "create", other)
    with life(tinybox, "--network", lab, "-p", "127.0.0.1:0:80", *ECHO) as web:
        where = stdout_of(tinybox, "port", web.name, "80").strip()
        fetch = ["curl", "-s", "--max-time", "15", "--retry", "3", "--retry-connrefused", f"http://{where}/"]
        pages, tables = [], set()
        for words in ((), ("connect", other), ("disconnect", lab), ("connect", lab), ("disconnect", other)):
            if words:
                stdout_of(tinybox, "network", *words, web.name)
            done = subprocess.run(fetch, capture_output=True, text=True, check=False, timeout=PATIENCE * 3)
            pages.append(done.stdout)
            tables.add(subprocess.run(["nft", "-a", "list", "tables"], capture_output=True, check=True).stdout)
        assert pages == [f"{web.id[:12]}\n"] * 5
        assert len(tables) == 1  # by its handle it is the same rule all the time: its counter goes on
    stdout_of(tinybox, "network", "rm", other)


def test_names_of_a_killed_box_are_removed(tinybox: Command, lab: str) -> None:
    """The monitor dies by SIGKILL: the next command removes its names from the files of the others."""
    with life(tinybox, "--network", lab, *IDLE) as box, life(tinybox, "--network", lab, *IDLE) as victim:
        assert finds(box, victim.name) == address(victim, lab)
        kill_and_wait(victim.monitor)
        tinybox("images")
        assert not knows(box, victim.name)
        assert finds(box, box.name) == address(box, lab)


def test_the_three_files(tinybox: Command) -> None:
    """hosts, hostname and resolv.conf are the box's own, and writable; the options are in them."""
    seen = facts(
        tinybox,
        *("--hostname", "here", "--add-host", "db:192.0.2.9", "--dns", "192.0.2.53", "--dns-search", "example.org"),
        *("--dns-option", "ndots:2"),
        hosts="cat /etc/hosts",
        name="cat /etc/hostname; hostname",
        resolver="cat /etc/resolv.conf",
        mounted="grep -c ' /etc/' /proc/self/mountinfo",
        written="echo 192.0.2.1 mine >> /etc/hosts && tail -n 1 /etc/hosts",
    )
    assert seen["hosts"].splitlines()[0].split() == ["127.0.0.1", "localhost"]
    assert "192.0.2.9\tdb" in seen["hosts"]
    assert seen["name"] == "here\nhere"
    assert seen["resolver"] == "nameserver 192.0.2.53\nsearch example.org\noptions ndots:2"
    assert (seen["mounted"], seen["written"]) == ("3", "192.0.2.1 mine")
    assert "mine" not in Path("/etc/hosts").read_text()


def test_the_source_of_the_three_files(tinybox: Command, tmp_path: Path) -> None:
    """With the host's network they are copies of the host's; with a box's that box's own; a -v over one stays."""
    assert output(tinybox, "--network", "host", "busybox", "cat", "/etc/hosts") == Path("/etc/hosts").read_text()
    with life(tinybox, "--network", "none", "--add-host", "a:192.0.2.1", *IDLE) as box:
        shared = output(tinybox, "--network", f"container:{box.name}", "busybox", "cat", "/etc/hosts")
        assert shared.strip() == box.inside("cat /etc/hosts")
        assert "192.0.2.1\ta" in shared
        beside = ("--network", f"container:{box.name}")
        names = output(tinybox, *beside, "busybox", "sh", "-c", "hostname; cat /etc/hostname; echo $HOSTNAME")
        assert names.split() == [box.id[:12]] * 3
        refused = tinybox("run", "--rm", *beside, "-h", "other", "busybox", "true")
        one_line(refused, 125, "--hostname other", "conflicting options")
    (tmp_path / "hosts").write_text("192.0.2.7 given\n")
    given = output(tinybox, "-v", f"{tmp_path}/hosts:/etc/hosts", "busybox", "cat", "/etc/hosts")
    assert given == "192.0.2.7 given\n"


def test_the_host_by_name(tinybox: Command, lab: str) -> None:
    """host-gateway is the host's address on the box's own network."""
    hosts = output(tinybox, "--network", lab, "--add-host", "up:host-gateway", "busybox", "cat", "/etc/hosts")
    gateway = json.loads(stdout_of(tinybox, "network", "inspect", lab))[0]["IPAM"]["Config"][0]["Gateway"]
    assert f"{gateway}\tup" in hosts.splitlines()


def test_a_box_that_ruins_its_file(tinybox: Command, lab: str) -> None:
    """Whatever a box writes to its own hosts file, the files of others stay right, and its own lines are kept."""
    with life(tinybox, "--network", lab, *IDLE) as vandal, life(tinybox, "--network", lab, *IDLE) as other:
        vandal.inside("head -c 3000000 /dev/zero > /etc/hosts; echo 192.0.2.66 evil > /etc/hostname")
        with life(tinybox, "--network", lab, *IDLE) as third:
            assert finds(other, third.name) == address(third, lab)
            assert finds(third, vandal.name) == address(vandal, lab)
            vandal.inside("echo 192.0.2.5 mine > /etc/hosts")
            with life(tinybox, "--network", lab, *IDLE) as fourth:
                assert finds(vandal, fourth.name) == address(fourth, lab)
                assert vandal.inside("head -n 1 /etc/hosts") == "192.0.2.5 mine"
        assert "evil" not in other.inside("cat /etc/hosts")


def test_thirty_boxes_come_and_go(tinybox: Command, lab: str) -> None:
    """Thirty boxes that start at once: each finds the others in one line with their address; after the end none."""
    names = [f"crowd-{os.getpid()}-{number}" for number in range(30)]
    with life(tinybox, "--network", lab, *IDLE) as watcher:
        starting = [tinybox.start("run", "-d", "--network", lab, "--name", name, *IDLE) for name in names]
        assert [process.communicate(timeout=120 * SLOWNESS)[1] for process in starting] == [""] * 30
        crowds = []
        for box in (watcher.name, names[0], names[-1]):
            lines = stdout_of(tinybox, "exec", box, "cat", "/etc/hosts").splitlines()
            crowds.append({word: line.split()[0] for line in lines for word in line.split() if word in names})
        done = tinybox("rm", "-f", *names, timeout=120 * SLOWNESS)
        assert done.returncode == 0, done.stderr
        until(lambda: "crowd-" not in watcher.inside("cat /etc/hosts"))
    assert crowds[0] == crowds[1] == crowds[2]
    assert sorted(crowds[0]) == sorted(names)
    assert len(set(crowds[0].values())) == 30
