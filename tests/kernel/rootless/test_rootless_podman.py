"""podman without root, with tinybox-oci as its runtime: what it does with runc, it does with tinybox-oci, too."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.student import Student, student

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["student"]

pytestmark = [pytest.mark.root, pytest.mark.rootless]
RUNC = shutil.which("runc") or shutil.which("runc", path="/usr/sbin")
CHECKS = (
    "run --rm --network=none busybox id",
    "run --rm --network=host busybox cat /proc/self/uid_map",
    "run --rm --network=none --userns=keep-id busybox id -u",
    "run --rm --network=none --pid=host busybox id -u",
    "run --rm --network=none busybox sh -c exit\t7",
    "run -d --network=none --name=box busybox sleep 1000",
    "exec box hostname -i",
    "exec -u 5 box id -u",
    "inspect --format={{.State.Status}} box",
    "stop -t 0 box",
    "inspect --format={{.State.Status}},{{.State.ExitCode}} box",
    "start box",
    "rm -f -t 0 box",
)


class Podman:
    """podman as the user, with a store of its own."""

    def __init__(self, student: Student) -> None:
        self.student, self.folder = student, student.home / "podman"
        places = [f"--{name}={self.folder / name}" for name in ("root", "runroot", "tmpdir")]
        self.command = ["podman", *places, "--storage-driver=vfs", "--cgroup-manager=cgroupfs", "--log-level=error"]

    def __call__(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run ``podman WORDS``."""
        line = self.student.words(*self.command, *words)
        env = self.student.environment
        return subprocess.run(line, capture_output=True, text=True, cwd=self.student.home, env=env, check=False)


@pytest.fixture
def podman(student: Student) -> Iterator[Podman]:
    """Give podman with the image busybox; its store and its pause process go at the end."""
    if shutil.which("podman") is None or RUNC is None:
        pytest.skip("podman or runc is not installed")
    made, archive = Podman(student), student.home / "busybox.tar"
    student("save", "-o", str(archive), "busybox")
    loaded = made("load", "-i", str(archive))
    assert loaded.returncode == 0, loaded.stderr
    yield made
    for pid in student.processes():
        os.kill(pid, signal.SIGKILL)
    shutil.rmtree(made.folder)
    archive.unlink()


def test_podman_without_root_runs_on_tinybox(podman: Podman) -> None:
    """Each check has the same status and output with runc and tinybox-oci, whose records are in XDG_RUNTIME_DIR."""
    ours = str(Path(podman.student.path).with_name("tinybox-oci"))
    results = []
    for runtime in (str(RUNC), ours):
        done = [
            podman(f"--runtime={runtime}", *(word.replace("\t", " ") for word in each.split(" "))) for each in CHECKS
        ]
        results.append([(each, run.returncode, shown(run.stdout)) for each, run in zip(CHECKS, done, strict=True)])
    assert results[0] == results[1]
    assert [status for _, status, _ in results[0]].count(0) == len(CHECKS) - 1  # the control: the checks work with runc
    assert (podman.student.live / "tinybox-oci").is_dir()


def shown(output: str) -> str:
    """Return what podman prints, without the ids of containers."""
    return "an id" if len(output.strip()) == 64 else output
