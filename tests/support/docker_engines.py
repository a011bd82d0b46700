"""A dockerd for tests: in a network of its own, without a bridge and firewall rules, its files in one directory."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from typing import TYPE_CHECKING

from tests.support.engine_directories import RUNTIME, Quarters, archive_of, child_of
from tests.support.slowness import SLOWNESS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PROGRAMS = ("dockerd", "docker", "containerd", "runc")
PATIENCE = 60.0 * SLOWNESS  # seconds
IMAGE = "busybox"


class Docker:
    """The command `docker` of one dockerd."""

    def __init__(self, place: Quarters) -> None:
        self.place, self.socket, self.pid = place, place.folder / "docker.sock", 0

    def __call__(self, *words: str, text: str = "") -> subprocess.CompletedProcess[str]:
        """Run ``docker WORDS``."""
        return self.place("docker", f"--host=unix://{self.socket}", *words, text=text)

    def says(self, *words: str) -> str:
        """Return what ``docker WORDS`` prints; it must succeed."""
        done = self(*words)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()


@contextlib.contextmanager
def dockerd(place: Quarters, *options: str, default: str = "runc", storage: str = "vfs") -> Iterator[Docker]:
    """Start a dockerd that knows the runtime `tinybox`, and wait for its socket; end it with all of its containers.

    *default* is its default runtime, *storage* the driver that makes the roots of containers.
    """
    folder, docker = place.folder, Docker(place)
    settings = {
        "bridge": "none",
        "iptables": False,
        "ip-forward": False,
        "storage-driver": storage,
        "exec-opts": ["native.cgroupdriver=cgroupfs"],
        "cgroup-parent": place.group,
        "data-root": f"{folder}/data",
        "exec-root": f"{folder}/exec",
        "pidfile": f"{folder}/dockerd.pid",
        "hosts": [f"unix://{docker.socket}"],
        "default-runtime": default,
        "runtimes": {"tinybox": {"path": RUNTIME}},
    }
    (folder / "daemon.json").write_text(json.dumps(settings))
    with (folder / "dockerd.log").open("w") as log:
        words = [*place.enter, "dockerd", f"--config-file={folder}/daemon.json", *options]
        daemon = subprocess.Popen(words, stdout=log, stderr=log, env=place.environment)
    try:
        deadline = time.monotonic() + PATIENCE
        while docker("version").returncode:
            assert daemon.poll() is None, (folder / "dockerd.log").read_text()
            assert time.monotonic() < deadline, (folder / "dockerd.log").read_text()
            time.sleep(0.05)
        docker.pid = child_of(daemon.pid) if place.has_pids else daemon.pid
        yield docker
        deadline = time.monotonic() + PATIENCE
        while daemon.poll() is None and (names := docker.says("ps", "-aq").split()):
            docker("rm", "-f", *names)  # not says(): a Swarm removes containers of its own at the same moment
            assert time.monotonic() < deadline, docker.says("ps", "-a")
            time.sleep(0.05)
    finally:
        if daemon.poll() is None:
            os.kill(docker.pid or daemon.pid, signal.SIGTERM)
        daemon.wait(PATIENCE)


def give_image(docker: Docker, layers: Sequence[str]) -> None:
    """Import the files of busybox as the image IMAGE."""
    docker.says("import", "-c", "ENV PATH=/bin:/usr/bin", str(archive_of(docker.place.folder, list(layers))), IMAGE)
