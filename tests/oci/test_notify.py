"""NOTIFY_SOCKET: a program in the container tells the caller's service manager that it is ready; see sd_notify(3)."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.engine_directories import RUNTIME, quarters
from tests.support.engine_directories import archive_of as packed
from tinybox.images.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.oci_runtimes import Runtime

pytestmark = pytest.mark.root

INSIDE = "/run/notify/notify.sock"


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    """Give the socket of a service manager."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "manager.sock"))
        listening.settimeout(10)
        yield listening


def notify(pid: int) -> None:
    """Send READY=1 to the socket that the process *pid* sees, as sd_notify(3) does."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"READY=1", f"/proc/{pid}/root{INSIDE}")


def test_the_socket_is_passed_on(runtime: Runtime, manager: socket.socket) -> None:
    """The container has the variable and the caller's socket; without NOTIFY_SOCKET it has neither."""
    runtime.program("sh", "-c", "echo ${NOTIFY_SOCKET-none} >&2; exec sleep 1000")
    for name, settings in (("with", {"NOTIFY_SOCKET": manager.getsockname()}), ("without", {})):
        env = {key: value for key, value in os.environ.items() if key != "NOTIFY_SOCKET"} | settings
        done = runtime.create(name, env=env)
        assert done.returncode == 0, done.stderr
        assert runtime("start", name).returncode == 0
        pid = runtime.state(name)["pid"]
        environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        assert (f"NOTIFY_SOCKET={INSIDE}".encode() in environment) == bool(settings)
        assert Path(f"/proc/{pid}/root{INSIDE}").is_socket() == bool(settings)
        if settings:
            notify(pid)
            assert manager.recv(100) == b"READY=1"


@pytest.mark.slow
def test_podman_leaves_it_to_the_container(store_root: Path, manager: socket.socket) -> None:
    """`podman run --sdnotify=container`: the container's own message reaches the manager, after conmon's MAINPID."""
    with quarters("podman", "runc") as place:
        places = [f"--{name}={place.folder}/{name}" for name in ("root", "runroot", "tmpdir")]
        podman = ["podman", *places, "--storage-driver=vfs", f"--runtime={RUNTIME}", "--log-level=error"]
        archive = packed(place.folder, Store(str(store_root)).image("busybox").layers)
        assert place(*podman, "import", "-q", str(archive), "busybox").returncode == 0
        place.environment["NOTIFY_SOCKET"] = manager.getsockname()
        options = ["--sdnotify=container", f"--cgroup-parent={place.group}", "--network=none", "--name=box"]
        done = place(*podman, "run", "-d", *options, "busybox", "sleep", "1000")
        assert done.returncode == 0, done.stderr
        del place.environment["NOTIFY_SOCKET"]
        notify(int(place(*podman, "inspect", "--format={{.State.Pid}}", "box").stdout))
        texts = [manager.recv(100)]
        while b"READY=1" not in texts[-1]:
            texts.append(manager.recv(100))
        assert texts[0].startswith(b"MAINPID=")
        assert place(*podman, "rm", "-f", "-t", "0", "box").returncode == 0
