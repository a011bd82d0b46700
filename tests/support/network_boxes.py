"""Boxes in networks, for the tests: boxes that serve, the kernel's view of them, and that nothing of them is left."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import Command
from tests.support import no_trace
from tests.support.boxes import PATIENCE, until
from tests.support.detached_boxes import Life, life
from tests.support.second_host import another_machine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.second_host import Machine

POOLS = Path("/run/tinybox-networks")
ECHO = ("sh", "-c", "while nc -l -p 80 -e cat; do :; done")  # one connection after another; each is echoed


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    """Make another machine at the other end of a veth pair."""
    with another_machine() as made:
        yield made


@pytest.fixture
def bridged(store_root: Path) -> Command:
    """Give the command with its default network: a box is on the bridge."""
    command = Command(store_root)
    command.environment.pop("TINYBOX_NETWORK")
    return command


def addresses(box: Life, family: int = 4) -> list[str]:
    """Return the addresses that the kernel shows in a box, without those of lo and without link-local ones."""
    kind = {4: "inet", 6: "inet6"}[family]
    shown = box.inside("ip address show")
    lines = [line.split() for line in shown.splitlines()]
    found = [words[1] for words in lines if words[:1] == [kind] and "global" in words]
    return [address.partition("/")[0] for address in found]


def links() -> dict[str, dict[str, Any]]:
    """Return what ip(8) reports about the links of this network namespace, by name."""
    done = subprocess.run(["ip", "-json", "-details", "link"], capture_output=True, check=True, timeout=PATIENCE)
    return {link["ifname"]: link for link in json.loads(done.stdout)}


@contextlib.contextmanager
def web(tinybox: Command, *options: str, text: str = "hello") -> Iterator[Life]:
    """Keep a box with a web server on port 80 whose page is *text*."""
    script = f"mkdir /www; echo {text} > /www/index.html; exec httpd -f -p 80 -h /www"
    with life(tinybox, *options, "busybox", "sh", "-c", script) as box:
        until(lambda: listens(box))
        yield box


def listens(box: Life, protocol: str = "tcp", port: int = 80) -> bool:
    """Tell whether a process in the box listens on a port; see proc_pid_net(5)."""
    for name in (protocol, f"{protocol}6"):
        with contextlib.suppress(FileNotFoundError):
            rows = Path(f"/proc/{box.pid}/net/{name}").read_text().splitlines()[1:]
            if any(row.split()[1].endswith(f":{port:04X}") for row in rows):
                return True
    return False


def page(connection: socket.socket) -> str:
    """Request the first page of a web server over *connection*, and return its body."""
    with connection:
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    return answer.partition(b"\r\n\r\n")[2].decode().strip()


def fetched(address: str, port: int) -> str:
    """Return the page that this host gets from *address* and *port*."""
    return page(socket.create_connection((address, port), timeout=PATIENCE))


def echoes(client: socket.socket, said: bytes, address: str, port: int) -> bool:
    """Send *said* as a datagram, and tell whether it comes back; a lost datagram never does, see udp(7)."""
    client.settimeout(1)
    client.sendto(said, (address, port))
    with contextlib.suppress(TimeoutError):
        while client.recvfrom(100)[0] != said:
            continue
        return True
    return False


def everything() -> dict[str, object]:
    """Return all that networks could leave on this host: links, addresses, rules, kernel switches, and pools."""
    here = POOLS / str(os.stat("/proc/self/ns/net").st_ino)
    shown = subprocess.run(["ip", "-o", "address"], capture_output=True, text=True, check=True, timeout=PATIENCE).stdout
    return {
        "links": sorted(links()),
        "addresses": sorted(line.partition("\\")[0].replace(" tentative", "") for line in shown.splitlines()),
        "rules": no_trace.ruleset(),
        "forwarding": [
            Path(f"/proc/sys/net/{name}").read_text() for name in ("ipv4/ip_forward", "ipv6/conf/all/forwarding")
        ],
        "pool": sorted(str(path) for path in here.rglob("*")),
    }


def same_as(before: dict[str, object]) -> None:
    """Wait until the host's side of networks is as it was *before*; the kernel removes links a moment later."""
    with contextlib.suppress(pytest.fail.Exception):
        until(lambda: everything() == before)
    after = everything()
    differs = {key: (value, after[key]) for key, value in before.items() if value != after[key]}
    assert not differs, differs
