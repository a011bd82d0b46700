"""``linux.netDevices``: devices of the host's network namespace that a container gets; a test has one of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import TIMEOUT
from tests.support.oci_bundles import Bundle, bundle

__all__ = ["bundle"]

pytestmark = pytest.mark.root

# v0 has two IPv4 addresses, one of IPv6, one of another scope, one that will not last, and another MTU
DEVICES = """
set -e
ip link set lo up
ip link add v0 type veth peer name p0
ip addr add 10.9.8.7/24 brd + dev v0
ip addr add 169.254.169.13/32 dev v0
ip addr add 10.1.1.1/24 scope link dev v0
ip addr add 10.2.2.2/24 dev v0 valid_lft 900 preferred_lft 900
ip -6 addr add fd00::5/64 nodad dev v0
ip link set v0 up mtu 1400
ip link set p0 up
set +e
"""
LOOK = "ip -o addr show | grep -v ' lo ' | grep -v 'inet6 fe80'; ip -o link show | grep -v ' lo:'"


@pytest.fixture
def moving(bundle: Bundle) -> Bundle:
    """Give a bundle that shows its network, and that gets v0."""
    (bundle.root / "bin/ip").symlink_to("busybox")
    bundle.process["args"] = ["sh", "-c", LOOK]
    bundle.linux["netDevices"] = {"v0": {"name": "eth7"}}
    return bundle


def run(bundle: Bundle, before: str = DEVICES, after: str = "") -> subprocess.CompletedProcess[str]:
    """Run the bundle in a network namespace that the script *before* has furnished, and then the script *after*.

    The mounts of both scripts are in a mount namespace of their own.
    """
    bundle.save()
    runtime = Path(sys.executable).with_name("tinybox-oci")
    command = f"{runtime} --root {bundle.path}/state run --bundle {bundle.path} {bundle.name}"
    words = ["unshare", "--net", "--mount", "sh", "-c", f"{before}\n{command} < /dev/null\necho status $?\n{after}"]
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=TIMEOUT)


@pytest.mark.parametrize("users", [False, True])
def test_a_device_arrives_with_its_permanent_addresses(moving: Bundle, users: bool) -> None:
    """It has its new name, its MTU and its global addresses, and is up; temporary and local addresses stay behind."""
    if users:
        moving.linux["namespaces"].append({"type": "user"})
        ids = [{"containerID": 0, "hostID": 0, "size": 65536}]
        moving.config["linux"] |= {"uidMappings": ids, "gidMappings": ids}
    done = run(moving, after="ip -o link show v0")
    assert "status 0" in done.stdout, done
    assert "eth7" in done.stdout
    for address in ("10.9.8.7/24 brd 10.9.8.255 scope global", "169.254.169.13/32 scope global", "fd00::5/64 scope"):
        assert address in done.stdout, done.stdout
    assert "10.1.1.1" not in done.stdout
    assert "10.2.2.2" not in done.stdout
    assert "mtu 1400" in done.stdout
    assert ",UP" in done.stdout
    assert "does not exist" in done.stderr  # the host has it no more


def test_without_the_field_the_container_has_no_device(moving: Bundle) -> None:
    """The control: only lo, and v0 stays."""
    del moving.linux["netDevices"]
    done = run(moving, after="ip -o link show v0 | wc -l")
    assert done.stdout.split() == ["status", "1", "1"]  # grep finds nothing: status 1


@pytest.mark.parametrize(
    ("devices", "names"),
    [
        ({"v0": {}, "w0": {"name": "x"}}, {"v0", "x"}),
        ({"v0": {"name": "eth%d"}, "w0": {"name": "eth%d"}}, {"eth0", "eth1"}),
        ({"v0": {"name": ""}}, {"v0"}),
    ],
)
def test_names_are_the_host_s_or_the_config_s_or_chosen(
    moving: Bundle, devices: dict[str, Any], names: set[str]
) -> None:
    """Without a name it is the host's; with %d at its end the kernel chooses a free number."""
    moving.linux["netDevices"] = devices
    moving.process["args"] = ["sh", "-c", "ls /sys/class/net"]
    done = run(moving, before=f"{DEVICES}\nip link add w0 type veth peer name q0")
    assert "status 0" in done.stdout, done
    assert names <= set(done.stdout.split())
    assert len(set(done.stdout.split()) - {"status", "0", "lo"}) == len(names)


@pytest.mark.parametrize(
    ("devices", "parts"),
    [
        ({"v0": {"name": "lo"}}, ("linux.netDevices.v0", "has a network device lo already")),
        ({"v0": {}, "nosuch": {}}, ("linux.netDevices.nosuch", "no such network device")),
        ({"v0": {"name": "eth7"}, "b0": {}}, ("linux.netDevices.b0", "cannot be moved")),
        ({"v0": {"name": "a/b"}}, ("linux.netDevices.v0.name", "is not a name")),
        ({"v0": {"name": "x" * 16}}, ("linux.netDevices.v0.name", "is not a name")),
        ({"v0": {"name": "e%dx"}}, ("linux.netDevices.v0.name", "is no template")),
        ({"v0": {"name": "b0"}, "b0": {}}, ("linux.netDevices", "two devices would be called b0")),
    ],
)
def test_a_move_that_is_not_possible_changes_nothing(
    moving: Bundle, devices: dict[str, Any], parts: tuple[str, str]
) -> None:
    """One line names the device; those that had been moved are back, with names, addresses and states."""
    moving.linux["netDevices"] = devices
    look = "ip -o addr show v0 | grep -v -e fe80 -e 10.1.1.1 -e 10.2.2.2 | sed 's/^[0-9]*: //'; ip -br link show v0"
    notes = moving.path / "before"
    before = f"{DEVICES}\nip link add b0 type bridge\n{{ {look}; }} > {notes}"
    done = run(moving, before=before, after=f"{{ {look}; }} | diff - {notes}")
    assert "10.9.8.7" in notes.read_text()
    assert done.stdout.split("\n")[0] == "status 125", done
    assert len(done.stderr.splitlines()) == 1
    for part in parts:
        assert part in done.stderr
    assert done.stdout.strip() == "status 125"  # diff finds nothing


def test_a_program_that_is_not_there_gives_the_device_back(moving: Bundle) -> None:
    """Also an error after the move, in the child, leaves the host as it was."""
    moving.process["args"] = ["/no/such/program"]
    done = run(moving, after="ip -br addr show v0; ip -br link show v0")
    assert "status 127" in done.stdout
    for part in ("10.9.8.7/24", "169.254.169.13/32", "fd00::5/64", ",UP"):
        assert part in done.stdout


def test_a_network_namespace_that_is_joined_gets_the_device(moving: Bundle) -> None:
    """The device goes to the namespace of the path, and stays there when the container has ended."""
    for entry in moving.linux["namespaces"]:
        if entry["type"] == "network":
            entry["path"] = str(moving.path / "net")
    before = f"touch {moving.path}/net\nunshare --net={moving.path}/net true\n{DEVICES}"
    look = f"nsenter --net={moving.path}/net ip -br addr show eth7; umount {moving.path}/net"
    moving.save()
    done = run(moving, before=before, after=look)
    assert "status 0" in done.stdout, done
    assert "10.9.8.7/24" in done.stdout.rpartition("status 0")[2]


def test_the_host_s_network_cannot_have_moved_devices(moving: Bundle) -> None:
    """Without a network namespace the devices would stay where they are: an error."""
    moving.linux["namespaces"] = [entry for entry in moving.linux["namespaces"] if entry["type"] != "network"]
    moving.refused("linux.netDevices", "would stay the host's")
