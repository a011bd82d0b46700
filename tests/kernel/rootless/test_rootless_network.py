"""Bridges of a user without root are in a network namespace of the home; slirp4netns leads out of it, and into it."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socketserver
import subprocess
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.kernel.rootless.test_rootless import is_quiet
from tests.support.boxes import PATIENCE, one_line
from tests.support.student import Student, student
from tinybox.linux.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["student"]

pytestmark = [pytest.mark.root, pytest.mark.rootless]

ON_A_BRIDGE = {"TINYBOX_NETWORK": "bridge"}
OUTSIDE, PORT = "198.51.100.1", 18080
SERVE = "echo hello > /index.html; exec httpd -f -h /"


@pytest.fixture(autouse=True)
def no_boxes(student: Student) -> Iterator[None]:
    """Remove what a failed test has left, for the next one."""
    yield
    if left := student("ps", "-aq").stdout.split():
        student("rm", "-f", *left)


class Greeter(socketserver.BaseRequestHandler):
    """A web server outside: it says the address of its client."""

    def handle(self) -> None:
        """Answer one request; to a client that has closed its side before, pasta of Debian 12 may bring no end."""
        self.request.recv(4096)
        self.request.sendall(f"HTTP/1.0 200 OK\r\n\r\nyou are {self.client_address[0]}\n".encode())


@pytest.fixture
def only_pasta(student: Student) -> Iterator[None]:
    """Hide slirp4netns from the user, and give this network a default route, without which pasta does not start."""
    if shutil.which("pasta") is None:
        pytest.fail("pasta is missing: make test-packages installs it (passt)")
    for words in ("link add veth-a type veth peer veth-b", "link set veth-a up", "link set veth-b up",
                  "address add 192.0.2.2/24 dev veth-a", "route add default via 192.0.2.1"):  # fmt: skip
        subprocess.run(["ip", *words.split()], check=True)
    student.hidden = ("slirp4netns",)
    yield
    student.hidden = ()
    subprocess.run(["ip", "link", "del", "veth-a"], check=True)


@contextmanager
def outside() -> Iterator[int]:
    """Give the port of a server on an address of the host that is not on its loopback network."""
    subprocess.run(["ip", "address", "add", f"{OUTSIDE}/32", "dev", "lo"], check=True)
    try:
        with socketserver.TCPServer((OUTSIDE, 0), Greeter) as server:
            thread = threading.Thread(target=server.serve_forever, args=(0.05,))
            thread.start()
            yield server.server_address[1]
            server.shutdown()
            thread.join()
    finally:
        subprocess.run(["ip", "address", "del", f"{OUTSIDE}/32", "dev", "lo"], check=True)


def fetched(port: int = PORT) -> str:
    """Fetch the page at a published port of the host; "" if it is closed."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/")
        return connection.getresponse().read().decode().strip()
    except OSError:
        return ""
    finally:
        connection.close()


def serve(student: Student, name: str, *options: str) -> None:
    """Start a web server in a box, and wait until it answers at PORT of the host."""
    student.says(
        "run", "-d", "--name", name, "-p", f"{PORT}:80", *options, "busybox", "sh", "-c", SERVE, env=ON_A_BRIDGE
    )
    assert until(lambda: fetched() == "hello", time.monotonic() + PATIENCE, 0.02)


def test_boxes_reach_one_another_and_the_outside(student: Student) -> None:
    """A box on a network is found by its name, answers at its published port, and reaches hosts outside."""
    student.says("network", "create", "lab")
    serve(student, "web", "--network", "lab")
    assert student.says("port", "web") == f"80/tcp -> 0.0.0.0:{PORT}"
    with outside() as port:
        ask = f"ping -c 1 -W 5 web | grep -c 'bytes from'; wget -qO- {OUTSIDE}:{port}; cat /etc/resolv.conf"
        seen = student.says("run", "--rm", "busybox", "sh", "-c", ask, env={"TINYBOX_NETWORK": "lab"}).splitlines()
        assert seen[:2] == ["1", f"you are {OUTSIDE}"]
        assert "nameserver 10.0.2.3" in seen
        alone = student("run", "--rm", "--network", "none", "busybox", "wget", "-qO-", f"{OUTSIDE}:{port}")
        assert (alone.returncode, alone.stdout) == (1, "")  # the control
    for number in (PORT, 80):
        done = student("run", "--rm", "-p", f"{number}:80", "busybox", "true", env=ON_A_BRIDGE)
        one_line(done, 125, f"port 0.0.0.0:{number}/tcp", "ip_unprivileged_port_start")
    assert not os.path.exists("/sys/class/net/tinybox0")  # the bridge is not in the host's network
    student.says("rm", "-f", "web")
    assert fetched() == ""
    student.says("network", "rm", "lab")
    assert is_quiet(student)


def test_networks_of_the_user(student: Student) -> None:
    """`network create`, `show`, `connect` and `rm` work in the home's network."""
    student.says("network", "create", "lab")
    student.says("run", "-d", "--name", "one", "--network", "lab", "busybox", "sleep", "1000")
    student.says("run", "-d", "--name", "two", "busybox", "sleep", "1000", env=ON_A_BRIDGE)
    ping = ("exec", "two", "ping", "-c", "1", "-W", "2", "one")
    assert student(*ping).returncode != 0
    student.says("network", "connect", "lab", "two")
    assert student(*ping).returncode == 0
    shown = student.says("network", "show", "lab")
    assert "one" in shown and "two" in shown and "tap0" in shown  # noqa: PT018  one claim
    student.says("rm", "-f", "one", "two")
    assert "No box is on it" in student.says("network", "show", "lab")
    student.says("network", "rm", "lab")
    assert is_quiet(student)


def owner(student: Student, name: str) -> int:
    """Return the pid of the monitor of a box."""
    pid = json.loads(student.says("inspect", name))[0]["State"]["Pid"]
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[1])


def test_the_port_of_a_killed_owner_is_free_again(student: Student) -> None:
    """Killed beside another box, the next command withdraws the port; killed as the last one, slirp4netns ends."""
    student.says("run", "-d", "--name", "other", "busybox", "sleep", "1000", env=ON_A_BRIDGE)
    serve(student, "web0")
    student.says("rm", "-f", "web0")  # the owner withdraws it
    for name in ("web1", "web2"):
        serve(student, name)
        os.kill(owner(student, name), signal.SIGKILL)
        assert until(lambda: fetched() == "", time.monotonic() + PATIENCE, 0.02)
    os.kill(owner(student, "other"), signal.SIGKILL)
    assert is_quiet(student)
    rows = student.says("ps", "-a", "--format", "{{.Names}} {{.State}}").splitlines()
    assert sorted(rows) == ["other exited", "web1 exited", "web2 exited"]
    student.says("rm", "other", "web1", "web2")


@pytest.mark.usefixtures("only_pasta")
def test_pasta_is_the_way_out_without_slirp4netns(student: Student) -> None:
    """A box reaches the outside and is reached by its name and its port; when its owner is killed, all of it ends."""
    student.says("network", "create", "lab")
    serve(student, "web", "--network", "lab")
    assert "pasta" in {Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].decode().rpartition("/")[2]
                       for pid in student.processes()}  # fmt: skip
    with outside() as port:
        ask = f"ping -c 1 -W 5 web | grep -c 'bytes from'; wget -qO- {OUTSIDE}:{port}"
        ask += f"; timeout 1 wget -qO- 10.0.2.2:{PORT} 2>/dev/null || echo closed"  # the gateway
        seen = student.says("run", "--rm", "busybox", "sh", "-c", ask, env={"TINYBOX_NETWORK": "lab"}).splitlines()
        assert seen == ["1", f"you are {OUTSIDE}", "closed"]
    for number in (PORT, 80):
        done = student("run", "--rm", "-p", f"{number}:80", "busybox", "true", env=ON_A_BRIDGE)
        one_line(done, 125, f"port 0.0.0.0:{number}/tcp", "ip_unprivileged_port_start")
    os.kill(owner(student, "web"), signal.SIGKILL)
    assert is_quiet(student)
    assert fetched() == ""
    student.says("rm", "web")
    student.says("network", "rm", "lab")
    student.hidden = ("slirp4netns", "pasta")
    one_line(student("run", "--rm", "busybox", "true", env=ON_A_BRIDGE), 125, "apt install slirp4netns")


@pytest.mark.usefixtures("only_pasta")
def test_a_killed_pasta_is_named(student: Student) -> None:
    """When pasta is killed, its helpers end; a new box says that there is no way out, and the running box goes on."""
    student.says("run", "-d", "--name", "one", "busybox", "sleep", "1000", env=ON_A_BRIDGE)
    (pid,) = [pid for pid in student.processes() if b"/pasta\0" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    os.kill(pid, signal.SIGKILL)
    assert until(lambda: len(student.processes()) == 3, time.monotonic() + PATIENCE, 0.01)  # the monitor and the box
    one_line(student("run", "--rm", "busybox", "true", env=ON_A_BRIDGE), 125, "there is no way out", "start them again")
    assert student.says("exec", "one", "echo", "here") == "here"
    student.says("rm", "-f", "one")
    assert is_quiet(student)
