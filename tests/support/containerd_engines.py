"""A containerd for tests, with its files in one directory, and its command `ctr`."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import platform
import signal
import subprocess
import tarfile
import time
from typing import TYPE_CHECKING

from tests.support.engine_directories import archive_of, child_of
from tests.support.slowness import SLOWNESS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tests.support.engine_directories import Quarters

IMAGE = "docker.io/library/busybox:latest"
MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
PATIENCE = 60.0 * SLOWNESS
SETTINGS = """\
version = 2
root = "{folder}/root"
state = "{folder}/state"
[grpc]
  address = "{folder}/socket"
"""
WITHOUT_CRI = 'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n'


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


def write_image(place: Quarters, layers: list[str], name: str = IMAGE, program: Sequence[str] = ("sh",)) -> Path:
    """Write busybox as an image of one layer that runs *program*, in docker's form of an archive."""
    layer = archive_of(place.folder, layers).read_bytes()
    config = json.dumps(
        {
            "architecture": MACHINES[platform.machine()],
            "os": "linux",
            "config": {"Cmd": list(program), "Env": ["PATH=/bin:/usr/bin:/sbin:/usr/sbin"]},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
        }
    ).encode()
    manifest = json.dumps([{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]).encode()
    path = place.folder / "image.tar"
    with tarfile.open(path, "w") as archive:
        for file, content in (("config.json", config), ("layer.tar", layer), ("manifest.json", manifest)):
            member = tarfile.TarInfo(file)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


@contextlib.contextmanager
def started(place: Quarters, settings: str) -> Iterator[Containerd]:
    """Start a containerd with *settings* in the namespaces of *place*, and end it."""
    file, log = place.folder / "containerd.toml", place.folder / "log"
    file.write_text(settings)
    with contextlib.ExitStack() as stack:
        output = stack.enter_context(log.open("w"))
        daemon = subprocess.Popen([*place.enter, "containerd", "--config", str(file)], stdout=output, stderr=output)
        stack.callback(daemon.wait, PATIENCE)
        stack.callback(lambda: os.kill(child_of(daemon.pid) if place.has_pids else daemon.pid, signal.SIGTERM))
        engine = Containerd(place)
        deadline = time.monotonic() + PATIENCE
        while engine("version").returncode:
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        yield engine
