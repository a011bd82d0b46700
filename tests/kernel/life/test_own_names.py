"""A box's own names: /etc/hosts has the full host name and the short one, on every network and after a restart."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.conftest import Command
from tests.support.boxes import new_name, one_line, output, until
from tests.support.compose_projects import project
from tests.support.detached_boxes import life, stdout_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.detached_boxes import Life

pytestmark = pytest.mark.root

IDLE = ("busybox", "sleep", "600")
LONG = ("-h", "wombat.example.com")


@pytest.fixture
def lab(tinybox: Command) -> Iterator[str]:
    """Give the name of a user-defined network with IPv6."""
    name = f"own{os.getpid()}"
    stdout_of(tinybox, "network", "create", "--ipv6", name)
    yield name
    assert stdout_of(tinybox, "network", "rm", name) == f"{name}\n"


def own_lines(hosts: str) -> list[list[str]]:
    """Return the names of each line of a hosts file whose address is no loopback and no multicast address."""
    words = [line.split() for line in hosts.splitlines() if not line.startswith(("#", "127.", "::1", "fe00", "ff0"))]
    return [names for _, *names in words]


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (LONG, ["wombat.example.com", "wombat"]),
        (("-h", "wombat", "--domainname", "example.com"), ["wombat.example.com", "wombat"]),
        ((*LONG, "--userns", "private"), ["wombat.example.com", "wombat"]),
        (("-h", "wombat"), ["wombat"]),
    ],
)
def test_the_full_name_and_the_short_one(tinybox: Command, options: tuple[str, ...], names: list[str]) -> None:
    """On the default bridge, with a domain in the name or as an option, and in a user namespace."""
    words = ("--network", "bridge", "--dns", "127.0.0.1", *options, "busybox")
    look = "cat /etc/hosts; echo '#'; hostname -f; hostname -s; cat /etc/hostname"
    hosts, _, rest = output(tinybox, *words, "sh", "-c", look).partition("#\n")
    assert own_lines(hosts) == [names]
    given = options[1]  # /etc/hostname and gethostname(2) have the name as it was given, as with docker
    assert rest.split() == [names[0], names[-1], given]


def test_the_name_of_the_host_is_split_as_well(tinybox: Command) -> None:
    """With --uts host, the name is the host's; it has no domain name of its own there."""
    names = own_lines(output(tinybox, "--network", "bridge", "--uts", "host", "busybox", "cat", "/etc/hosts"))
    assert names == [list(dict.fromkeys([os.uname().nodename, os.uname().nodename.partition(".")[0]]))]
    for option in ("--domainname", "--hostname"):
        refused = tinybox("run", "--rm", "--uts", "host", option, "example.com", "busybox", "true")
        one_line(refused, 125, f"{option} example.com", "--uts host")


def test_domain_names_are_checked(tinybox: Command) -> None:
    """No value can add a name or a line to /etc/hosts; an empty one is none."""
    for wrong in ("a b", "a\nb", "x" * 65):
        one_line(tinybox("run", "--rm", "--domainname", wrong, "busybox", "true"), 125, "--domainname")
    assert output(tinybox, "--domainname", "", "busybox", "cat", "/proc/sys/kernel/domainname") == "(none)\n"


def test_networks_of_users_and_restarts(tinybox: Command, lab: str) -> None:
    """Both names are in the lines of IPv4 and IPv6, beside the other names; also after a restart and a connect."""
    with life(tinybox, "--network", lab, "--network-alias", "db", *LONG, *IDLE) as box:
        own = ["wombat.example.com", "wombat", box.name, "db", box.id[:12]]
        assert own_lines(box.inside("cat /etc/hosts")) == [own, own]
        assert tinybox("restart", "-t", "0", box.name).returncode == 0
        assert own_lines(box.inside("cat /etc/hosts")) == [own, own]
        with life(tinybox, "--network", lab, *IDLE) as other:
            until(lambda: others(box))
            assert own_lines(other.inside("cat /etc/hosts"))[2:] == [[box.name, "db", box.id[:12]]] * 2
            assert tinybox("network", "disconnect", lab, box.name).returncode == 0
            assert own_lines(box.inside("cat /etc/hosts")) == []
            assert tinybox("network", "connect", lab, box.name).returncode == 0
            assert own_lines(box.inside("cat /etc/hosts"))[0] == [*own[:3], box.id[:12]]


def others(box: Life) -> list[list[str]]:
    """Return the lines of other boxes in the hosts file of *box*."""
    return [names for names in own_lines(box.inside("cat /etc/hosts")) if box.name not in names]


def test_networks_without_an_address(tinybox: Command) -> None:
    """Without a network, the file has no line for the box, as with docker; beside a box it is that box's file."""
    assert own_lines(output(tinybox, "--network", "none", *LONG, "busybox", "cat", "/etc/hosts")) == []
    with life(tinybox, "--network", "bridge", *LONG, *IDLE) as box:
        shared = output(tinybox, "--network", f"container:{box.name}", "busybox", "cat", "/etc/hosts")
        assert own_lines(shared) == [["wombat.example.com", "wombat"]]


def test_compose_has_both_keys(tinybox: Command, tmp_path: Path) -> None:
    """`hostname` and `domainname` of a service."""
    keys = "image: busybox, hostname: wombat, domainname: example.com, stop_signal: KILL, command: sleep 99"
    with project(tinybox, tmp_path, f"services: {{one: {{{keys}}}}}\n", new_name()) as shop:
        shop.up()
        first = own_lines(shop.life("one").inside("cat /etc/hosts"))[0]
        assert first[:2] == ["wombat.example.com", "wombat"]
        assert shop.life("one").inside("cat /proc/sys/kernel/domainname") == "example.com"
