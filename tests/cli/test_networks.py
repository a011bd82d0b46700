"""`tinybox network`, `ps`, `inspect` and `port`: their output about networks is docker's, and true by the kernel."""

from __future__ import annotations

import json
import os
import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.boxes import one_line
from tests.support.detached_boxes import life, stdout_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Command

pytestmark = pytest.mark.root

IDLE = ("busybox", "sleep", "600")
PREDEFINED = ["bridge", "host", "none"]


@pytest.fixture
def lab(tinybox: Command) -> Iterator[str]:
    """Give the name of a network with a label and both address families."""
    name = f"lab{os.getpid()}"
    stdout_of(tinybox, "network", "create", "--subnet", "10.55.0.0/24", "--ipv6", "--label", f"of={name}", name)
    yield name
    stdout_of(tinybox, "network", "rm", "-f", name)


def names(tinybox: Command, *words: str) -> list[str]:
    """Return the names that `network ls` lists."""
    return stdout_of(tinybox, "network", "ls", "--format", "{{.Name}}", *words).split()


def test_ls(tinybox: Command, lab: str) -> None:
    """The columns and filters are docker's, the ids short or whole; the predefined networks are builtin."""
    head, *rows = stdout_of(tinybox, "network", "ls").splitlines()
    assert re.split(r" {2,}", head.strip()) == ["NETWORK ID", "NAME", "DRIVER", "SCOPE"]
    assert [row.split()[1:] for row in rows] == [
        ["bridge", "bridge", "local"], ["host", "host", "local"], [lab, "bridge", "local"], ["none", "null", "local"],
    ]  # fmt: skip
    whole = stdout_of(tinybox, "network", "ls", "-q", "--no-trunc", "--filter", f"name={lab}").strip()
    assert len(whole) == 64
    assert stdout_of(tinybox, "network", "ls", "-q", "-f", f"id={whole[:5]}").strip() == whole[:12]
    assert names(tinybox, "-f", "type=custom") == [lab]
    assert names(tinybox, "-f", "type=builtin") == PREDEFINED
    assert names(tinybox, "-f", f"label=of={lab}", "-f", "driver=bridge") == [lab]
    assert names(tinybox, "-f", f"label=of={lab}", "-f", "driver=host") == []
    assert names(tinybox, "-f", "dangling=true") == [lab]
    assert (
        stdout_of(tinybox, "network", "ls", "-f", f"name={lab}", "--format", "{{.IPv6}} {{.Internal}}")
        == "true false\n"
    )
    one_line(tinybox("network", "ls", "-f", "colour=red"), 1, "--filter colour=red", "invalid filter")


@pytest.mark.parametrize("name", ["private", "slirp4netns", "ns"])
def test_a_network_may_have_any_other_name(tinybox: Command, name: str) -> None:
    """A box on a network called `private`, which is a mode of podman's, is on that network and nowhere else."""
    stdout_of(tinybox, "network", "create", "--internal", "--subnet", "10.56.0.0/24", name)
    try:
        shown = stdout_of(tinybox, "run", "--rm", "--network", name, "busybox", "ip", "address", "show", "eth0")
        assert "10.56.0.2/24" in shown
    finally:
        stdout_of(tinybox, "network", "rm", name)


def test_a_network_in_use(tinybox: Command, lab: str) -> None:
    """It is neither removed nor pruned; `inspect` lists its boxes, and `ps --filter network=` finds them."""
    with life(tinybox, "--network", lab, "--ip", "10.55.0.55", "--mac-address", "02:00:00:00:00:55", *IDLE) as box:
        one_line(tinybox("network", "rm", lab), 1, f"network {lab}", "has active endpoints", f'name:"{box.name}"')
        assert stdout_of(tinybox, "network", "prune", "--force") == ""
        told = json.loads(stdout_of(tinybox, "network", "inspect", lab))[0]
        member = told["Containers"][box.id]
        assert (member["Name"], member["IPv4Address"]) == (box.name, "10.55.0.55/24")
        assert (told["IPAM"]["Config"][0], told["EnableIPv6"]) == (
            {"Subnet": "10.55.0.0/24", "Gateway": "10.55.0.1"}, True,
        )  # fmt: skip
        seen = box.inside("ip address show eth0")
        assert "inet 10.55.0.55/24" in seen
        assert f"inet6 {member['IPv6Address']}" in seen
        assert "link/ether 02:00:00:00:00:55" in seen
        for word, found in ((lab, [box.name]), (told["Id"][:12], [box.name]), ("bridge", [])):
            assert stdout_of(tinybox, "ps", "--format", "{{.Names}}", "-f", f"network={word}").split() == found
    assert names(tinybox, "-f", "type=custom") == [lab]
    assert stdout_of(tinybox, "network", "prune", "--force") == f"Deleted Networks:\n{lab}\n\n"


def test_inspect_of_a_box(tinybox: Command, lab: str) -> None:
    """Addresses, gateway, aliases and ports have docker's keys; at rest the options stay, the addresses are empty."""
    options = (
        "--network",
        lab,
        "--network-alias",
        "db",
        "-p",
        "127.0.0.1:0:80",
        "--expose",
        "90",
        "--dns",
        "192.0.2.1",
    )
    with life(tinybox, *options, *IDLE) as box:
        told = json.loads(stdout_of(tinybox, "inspect", box.name))[0]
        settings, place = told["NetworkSettings"], told["NetworkSettings"]["Networks"][lab]
        assert settings["IPAddress"] == place["IPAddress"] == box.inside("hostname -i").split()[-1]
        assert (place["Gateway"], place["IPPrefixLen"], place["Aliases"]) == ("10.55.0.1", 24, ["db"])
        assert place["DNSNames"] == [box.name, "db", box.id[:12]]
        assert settings["Ports"]["90/tcp"] is None
        (binding,) = settings["Ports"]["80/tcp"]
        assert binding["HostIp"] == "127.0.0.1"
        assert 0 < int(binding["HostPort"]) < 65536
        assert stdout_of(tinybox, "port", box.name) == f"80/tcp -> 127.0.0.1:{binding['HostPort']}\n"
        shown = stdout_of(tinybox, "ps", "--format", "{{.Ports}}", "-f", f"name={box.name}").strip()
        assert shown == f"90/tcp, 127.0.0.1:{binding['HostPort']}->80/tcp"
        assert (told["HostConfig"]["NetworkMode"], told["HostConfig"]["Dns"]) == (lab, ["192.0.2.1"])
        stdout_of(tinybox, "stop", "-t", "0", box.name)
        place = json.loads(stdout_of(tinybox, "inspect", box.name))[0]["NetworkSettings"]["Networks"][lab]
        assert (place["IPAddress"], place["Aliases"]) == ("", ["db"])


def test_the_picture(tinybox: Command, lab: str) -> None:
    """`network show` draws both ends of each veth pair with the kernel's numbers, addresses, rules, in 100 columns."""
    with life(tinybox, "--network", lab, *IDLE) as one, life(tinybox, "--network", lab, "-p", "0:80", *IDLE) as two:
        two.inside(f"ping -c 1 -w 20 {one.name}")
        picture = stdout_of(tinybox, "network", "show", lab)
        links = json.loads(subprocess.run(["ip", "-j", "link"], capture_output=True, check=True, timeout=10).stdout)
        for box in (one, two):
            index = box.inside("cat /sys/class/net/eth0/ifindex")
            host = next(link for link in links if link["ifname"] == f"veth{box.id[:9]}0")
            row = next(line for line in picture.splitlines() if box.name in line)
            assert f" {host['ifindex']}: {host['ifname']}@if{index}  forwarding ═" in row
            assert row.endswith(f" {index}: eth0@if{host['ifindex']}   {box.name}")
        assert max(map(len, picture.splitlines())) <= 100
        for part in (
            "10.55.0.2/24",
            "default via 10.55.0.1",
            "learned: 02:42:0a:37:00:03",
            "ip_forward = 1",
            "80/tcp is",
        ):
            assert part in picture
        assert re.search(r"\d+  forward +iifname \. oifname @neighbours accept", picture)
    assert "No box is on it" in stdout_of(tinybox, "network", "show", lab)
    one_line(tinybox("network", "show", "host"), 1, "network host", "has no bridge")


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (("network", "create", "host"), ("operation is not permitted on predefined networks",)),
        (("network", "create", "default"), ("operation is not permitted on predefined networks",)),
        (("network", "create", "-d", "overlay", "new"), ("--driver overlay", "there is no such driver")),
        (("network", "rm", "bridge"), ("network bridge", "is a pre-defined network and cannot be removed")),
        (("network", "rm", "nosuch"), ("network nosuch: not found",)),
        (("network", "connect", "bridge", "nosuch"), ("container nosuch: no such container",)),
        (("network", "disconnect", "nosuch", "nosuch"), ("nosuch",)),
    ],
)
def test_wrong_networks(tinybox: Command, words: tuple[str, ...], parts: tuple[str, ...]) -> None:
    """One line that names the thing and the cause, and nothing is made."""
    one_line(tinybox(*words), 1, *parts)
    assert names(tinybox) == PREDEFINED


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        ("--network nosuch", "network nosuch: not found"),
        ("--network host --network bridge", "cannot attach both user-defined and non-user-defined network-modes"),
        ("--network bridge --ip 172.30.0.9", "user specified IP address is supported for user-defined networks only"),
        ("--network bridge --network-alias x", "network-scoped alias is supported for user-defined networks only"),
        ("--network LAB --ip 10.56.0.1", "no configured subnet contains IP address 10.56.0.1"),
        ("--network LAB --ip x", "--ip x: is not an IP address"),
        ("--network LAB --ip fd00::1", "is not an IPv4 address (--ip6)"),
        ("--network LAB --network LAB", "is asked for twice"),
        ("--network LAB --network-alias db#1", "--network-alias 'db#1': is not a name"),
        ("--network name=LAB,alias=db\x079.9.9.9", "--network-alias 'db\\x079.9.9.9': is not a name"),
        ("--network name=LAB,colour=red", "invalid field key colour"),
        ("--network LAB --mac-address 01:00:5e:00:00:01", "--mac-address 01:00:5e:00:00:01"),
        ("--network none --ip 10.55.0.9", "conflicting options: IP address and the network mode none"),
        (
            "--network host --mac-address 02:00:00:00:00:01",
            "conflicting options: mac-address and the network mode host",
        ),
        ("--dns elsewhere", "--dns elsewhere: is not an IP address"),
        ("--add-host db", "bad format for add-host"),
        ("-p 70000:80", "invalid hostPort: 70000"),
        ("--network bridge -p [::]:8080:80", "--publish [::]:8080:80/tcp: the box has no IPv6 address"),
        ("--network LAB -p [::1]:8080:80", "--publish [::1]:8080:80/tcp: the kernel lets no packet from ::1 leave"),
        ("--network LAB --hostname a\x07b", "--hostname 'a\\x07b': invalid hostname format"),
        ("--expose x", "invalid range format: x"),
    ],
)
def test_wrong_options_of_run(tinybox: Command, lab: str, words: str, cause: str) -> None:
    """They are found before anything is made; status 125, as docker's."""
    one_line(tinybox("run", "--rm", *words.replace("LAB", lab).split(), *IDLE), 125, cause)
