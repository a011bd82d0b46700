"""containerd with tinybox as its runtime, through containerd's own shim: `ctr` uses it as Kubernetes does."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import platform
import subprocess
import tarfile
import time
from typing import TYPE_CHECKING

import pytest

from tests.support.engine_directories import RUNTIME, archive_of, quarters
from tests.support.slowness import SLOWNESS
from tinybox.images.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.engine_directories import Quarters

IMAGE = "docker.io/library/busybox:latest"
MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
PATIENCE = 60.0 * SLOWNESS
SETTINGS = """\
version = 2
root = "{folder}/root"
state = "{folder}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "{folder}/socket"
"""


class Containerd:
    """A containerd for this test, and its `ctr`."""

    def __init__(self, place: Quarters) -> None:
        self.place, self.socket = place, place.folder / "socket"

    def __call__(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run ``ctr WORDS``."""
        return self.place("ctr", f"--address={self.socket}", *words)

    def says(self, *words: str) -> str:
        """Return what ``ctr WORDS`` prints; it must succeed."""
        done = self(*words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def status(self, task: str) -> str:
        """Return containerd's status of a task."""
        rows = [line.split() for line in self.says("task", "ls").splitlines()[1:]]
        return next((row[2] for row in rows if row[0] == task), "")

    def await_end(self, task: str) -> None:
        """Wait until containerd has seen the end of a task."""
        deadline = time.monotonic() + PATIENCE
        while self.status(task) != "STOPPED":
            assert time.monotonic() < deadline
            time.sleep(0.05)


def write_image(place: Quarters, layers: list[str]) -> Path:
    """Write busybox as an image of one layer, in docker's form of an archive."""
    layer = archive_of(place.folder, layers).read_bytes()
    config = json.dumps(
        {
            "architecture": MACHINES[platform.machine()],
            "os": "linux",
            "config": {"Cmd": ["sh"], "Env": ["PATH=/bin"]},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
        }
    ).encode()
    manifest = json.dumps([{"Config": "config.json", "RepoTags": [IMAGE], "Layers": ["layer.tar"]}]).encode()
    path = place.folder / "image.tar"
    with tarfile.open(path, "w") as archive:
        for name, content in (("config.json", config), ("layer.tar", layer), ("manifest.json", manifest)):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


@pytest.fixture
def containerd(store_root: Path) -> Iterator[Containerd]:
    """Start a containerd in namespaces of its own, and end it."""
    with quarters("containerd", "ctr", "runc") as place, contextlib.ExitStack() as stack:
        settings = place.folder / "containerd.toml"
        settings.write_text(SETTINGS.format(folder=place.folder))
        log = stack.enter_context((place.folder / "log").open("w"))
        daemon = subprocess.Popen([*place.enter, "containerd", "--config", str(settings)], stdout=log, stderr=log)
        stack.callback(daemon.wait, PATIENCE)
        stack.callback(daemon.terminate)
        engine = Containerd(place)
        deadline = time.monotonic() + PATIENCE
        while engine("version").returncode:
            assert time.monotonic() < deadline, (place.folder / "log").read_text()
            time.sleep(0.05)
        image = write_image(place, Store(str(store_root)).image("busybox").layers)
        for snapshotter in ("native", "overlayfs"):
            engine.says("images", "import", f"--snapshotter={snapshotter}", str(image))
        yield engine


@pytest.mark.root
@pytest.mark.slow
@pytest.mark.parametrize("snapshotter", ["native", "overlayfs"])
@pytest.mark.parametrize("runtime", ["runc", RUNTIME], ids=["runc", "tinybox"])
def test_containerd_runs_on_it(containerd: Containerd, runtime: str, snapshotter: str) -> None:
    """`ctr`: run, its status, a task that stays; exec, pause, resume, ps, metrics, kill and delete."""
    group = containerd.place.group
    run = ["run", f"--snapshotter={snapshotter}", f"--runc-binary={runtime}", f"--cgroup={group}/box"]
    assert containerd(*run, "--rm", IMAGE, "first", "echo", "hello").stdout == "hello\n"
    assert containerd(*run, "--rm", IMAGE, "second", "sh", "-c", "exit 5").returncode == 5

    containerd.says(*run, "-d", IMAGE, "stays", "sleep", "1000")
    assert containerd("task", "exec", "--exec-id=one", "stays", "sh", "-c", "exit 9").returncode == 9
    assert containerd("task", "exec", "--exec-id=two", "stays", "nosuch").returncode
    containerd.says("task", "pause", "stays")
    assert containerd.status("stays") == "PAUSED"
    containerd.says("task", "resume", "stays")
    assert containerd.status("stays") == "RUNNING"
    assert len(containerd.says("task", "ps", "stays").splitlines()) == 2
    assert "pids.current" in containerd.says("task", "metrics", "stays")
    containerd.says("task", "kill", "--signal=SIGKILL", "stays")
    containerd.await_end("stays")
    assert "exit with non-zero exit code 137" in containerd("task", "delete", "stays").stderr
    containerd.says("container", "delete", "stays")
    assert containerd.says("container", "ls", "-q") == ""
