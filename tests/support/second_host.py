"""A second machine: a network namespace at the end of a veth pair, whose only way to boxes is this host's address."""

from __future__ import annotations

import contextlib
import socket
import subprocess
from typing import TYPE_CHECKING

from tests.support.boxes import PATIENCE, until
from tinybox.linux import process

if TYPE_CHECKING:
    from collections.abc import Iterator

HOST, MACHINE = "192.0.2.1", "192.0.2.2"  # the addresses of both ends; see RFC 5737
HOST6, MACHINE6 = "2001:db8::1", "2001:db8::2"


def ip(*words: str) -> None:
    """Run ip(8)."""
    subprocess.run(["ip", *words], check=True, capture_output=True, timeout=PATIENCE)


class Machine:
    """The second machine: programs run and sockets are made in its network namespace."""

    address, address6 = MACHINE, MACHINE6

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def run(self, *words: str, timeout: float = PATIENCE) -> subprocess.CompletedProcess[str]:
        """Run a program of the host in the namespace."""
        command = ["nsenter", f"--net=/proc/{self.pid}/ns/net", *words]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=timeout)

    @contextlib.contextmanager
    def network(self) -> Iterator[None]:
        """Be in the namespace in this context: a socket that is made here stays there; see setns(2)."""
        with open("/proc/self/ns/net", "rb") as own, open(f"/proc/{self.pid}/ns/net", "rb") as other:
            process.setns(other.fileno(), process.CLONE_NEWNET)
            try:
                yield
            finally:
                process.setns(own.fileno(), process.CLONE_NEWNET)

    def listen(self, port: int, address: str = MACHINE) -> socket.socket:
        """Return a socket of the namespace that listens for connections."""
        with self.network():
            server = socket.create_server((address, port), family=_family(address))
        server.settimeout(PATIENCE)
        return server

    def connect(self, address: str, port: int) -> socket.socket:
        """Return a connection from the namespace."""
        with self.network():
            return socket.create_connection((address, port), timeout=PATIENCE)

    def set_mtu(self, mtu: int) -> None:
        """Set the MTU of both ends to so many bytes."""
        ip("link", "set", "uplink", "mtu", str(mtu))
        self.run("ip", "link", "set", "eth0", "mtu", str(mtu))

    def datagrams(self) -> socket.socket:
        """Return a socket of the namespace that sends and receives datagrams."""
        with self.network():
            made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.settimeout(PATIENCE)
        return made


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def cable_is_known() -> bool:
    """Tell whether the host's end has its link-local address: the kernel sets it a moment after the link is up."""
    shown = subprocess.run(["ip", "-6", "-o", "address", "show", "dev", "uplink"], capture_output=True, check=True)
    return b"inet6 fe80:" in shown.stdout


@contextlib.contextmanager
def another_machine() -> Iterator[Machine]:
    """Make a second machine at the end of a veth pair, which is the host's default route."""
    words = ["unshare", "--net", "sh", "-c", "echo; read x"]
    keeper = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert keeper.stdout is not None
        keeper.stdout.readline()  # it is in its namespace now, and has executed sh
        machine = Machine(keeper.pid)
        ip("link", "add", "uplink", "type", "veth", "peer", "name", "eth0", "netns", str(keeper.pid))
        for address in (f"{HOST}/24", f"{HOST6}/64"):
            ip("address", "add", address, "dev", "uplink", *(["nodad"] if ":" in address else []))
        ip("link", "set", "uplink", "up")
        for address in (f"{MACHINE}/24", f"{MACHINE6}/64"):
            machine.run("ip", "address", "add", address, "dev", "eth0", *(["nodad"] if ":" in address else []))
        machine.run("ip", "link", "set", "eth0", "up")
        machine.run("ip", "link", "set", "lo", "up")
        ip("route", "add", "default", "via", MACHINE)
        ip("-6", "route", "add", "default", "via", MACHINE6)
        until(cable_is_known)
        yield machine
    finally:
        with contextlib.suppress(subprocess.CalledProcessError):
            ip("link", "delete", "uplink")
        keeper.kill()
        keeper.communicate()
