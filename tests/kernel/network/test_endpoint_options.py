"""Options of networks (-o) and of their endpoints: default route, names of interfaces, link-local addresses, icc."""

from __future__ import annotations

import json
import os
import subprocess
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.support.boxes import new_name, one_line, output

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Command

pytestmark = pytest.mark.root
DOCKERS = "com.docker.network."
FIRST, SECOND = "10.81.0.0/24", "10.82.0.0/24"


@pytest.fixture(scope="module")
def networks(store_root: object) -> Iterator[tuple[str, str]]:
    """Make a network whose boxes do not talk, with a bridge of a chosen name; and one with a name for interfaces."""
    from tests.conftest import Command

    tinybox = Command(store_root)  # type: ignore[arg-type]
    names = (f"silent{os.getpid()}", f"named{os.getpid()}")
    silent = ["-o", f"{DOCKERS}bridge.name=opt{os.getpid()}", "-o", f"{DOCKERS}bridge.enable_icc=false"]
    silent += ["-o", f"{DOCKERS}bridge.host_binding_ipv4=127.0.0.1", "--attachable", "--scope", "local"]
    named = ["-o", f"{DOCKERS}container_iface_prefix=net", "-o", f"{DOCKERS}bridge.enable_ip_masquerade=false"]
    for name, subnet, words in zip(names, (FIRST, SECOND), (silent, named), strict=True):
        done = tinybox("network", "create", "--subnet", subnet, *words, name)
        assert done.returncode == 0, done
    yield names
    assert tinybox("network", "rm", *names).returncode == 0


def test_one_box_in_both(tinybox: Command, networks: tuple[str, str]) -> None:
    """The highest gw-priority has the default route; the names and the more addresses are those asked for.

    Control: without the priority the first network has the route, and the names are the networks' own.
    """
    first, second = (f"name={name}" for name in networks)
    script = ("busybox", "sh", "-c", "ip route | grep default; ip -4 -o addr")
    seen = output(tinybox, "--network", f"{first},link-local-ip=169.254.7.7", "--network",
                  f"{second},gw-priority=5,driver-opt={DOCKERS}endpoint.ifname=wan0", *script)  # fmt: skip
    assert "default via 10.82.0.1 dev wan0" in seen
    assert "inet 169.254.7.7/16 brd 169.254.255.255" in seen
    plain = output(tinybox, "--network", first, "--network", second, *script)
    assert "default via 10.81.0.1 dev eth0" in plain
    assert "net0 " in plain
    assert "169.254" not in plain


def test_a_silent_network(tinybox: Command, networks: tuple[str, str]) -> None:
    """Its boxes reach the host and not each other; a port without an address is published at the network's.

    A connection with a priority moves the default route, and its end gives it back.
    """
    names = [new_name(), new_name()]
    try:
        for number, name in enumerate(names):
            ports = ["-p", "80"] * (number == 0)
            done = tinybox("run", "-d", "--name", name, "--network", networks[0], *ports, "busybox", "sleep", "60")
            assert done.returncode == 0, done
        address = tinybox("inspect", "-f", "{{.NetworkSettings.IPAddress}}", names[0]).stdout.strip()
        inside = partial(tinybox, "exec", names[1])
        assert inside("ping", "-c", "1", "-W", "1", address).returncode == 1
        assert inside("ping", "-c", "1", "-W", "1", "10.81.0.1").returncode == 0
        assert subprocess.run(["ip", "link", "show", f"opt{os.getpid()}"], capture_output=True).returncode == 0  # noqa: PLW1510
        assert tinybox("port", names[0]).stdout.startswith("80/tcp -> 127.0.0.1:")
        words = ["--gw-priority", "3", "--link-local-ip", "169.254.3.3"]
        words += ["--driver-opt", f"{DOCKERS}endpoint.sysctls=net.ipv4.conf.IFNAME.log_martians=1"]
        assert tinybox("network", "connect", *words, networks[1], names[1]).returncode == 0
        shown = inside("sh", "-c", "ip route; ip -4 -o addr; cat /proc/sys/net/ipv4/conf/net0/log_martians").stdout
        assert "default via 10.82.0.1 dev net0" in shown
        assert "169.254.3.3/16" in shown
        assert shown.endswith("\n1\n")
        [known] = json.loads(tinybox("inspect", names[1]).stdout)
        assert known["NetworkSettings"]["Networks"][networks[1]]["GwPriority"] == 3
        assert tinybox("network", "disconnect", networks[1], names[1]).returncode == 0
        assert "default via 10.81.0.1 dev eth0" in inside("ip", "route").stdout
    finally:
        tinybox("rm", "-f", *names)


WRONG = {
    "--driver-opt a=b": "--driver-opt a=b: is unknown",
    f"--driver-opt {DOCKERS}endpoint.ifname=a/b": "is no name of a link",
    f"--driver-opt {DOCKERS}endpoint.sysctls=net.ipv4.ip_forward=1": "unrecognised network interface sysctl",
    "--link-local-ip 10.0.0.1": "is not a link-local address",
}


def test_wrong_options_of_an_endpoint(tinybox: Command, networks: tuple[str, str]) -> None:
    """Each is refused in one line, and nothing is connected."""
    name = new_name()
    tinybox("create", "--name", name, "--network", networks[0], "busybox", "true")
    for words, cause in WRONG.items():
        one_line(tinybox("network", "connect", *words.split(), networks[1], name), 1, cause)
    [known] = json.loads(tinybox("inspect", name).stdout)
    tinybox("rm", name)
    assert list(known["NetworkSettings"]["Networks"]) == [networks[0]]
