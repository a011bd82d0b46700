"""podman without root, with tinybox-oci as its runtime: what it does with runc, it does with tinybox-oci, too."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.student import ID, Student, student

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


WORDS = ("host", "keep-id", "keep-id:uid=7,gid=9", "keep-id:uid=70000", "nomap", "auto", "auto:size=3000")
USERS = ((), ("-u", "0"), ("-u", "5:6"))
LOOK = """
id -u; id -g; cat /proc/self/uid_map /proc/self/gid_map; pwd
touch /s/file 2>/dev/null && stat -c %u:%g /s/file
stat -c %u:%g / /s /bin/busybox /etc/passwd /etc/hosts
"""
NAMED = (
    'echo "$HOME"; tail -n 1 /etc/passwd'  # with --user, podman adds a line for any number, and sets no HOME of root
)


@pytest.mark.parametrize("word", WORDS)
def test_podmans_words_for_user_namespaces_mean_the_same(podman: Podman, word: str) -> None:
    """Maps, user, home, owners of the image's files and of a volume's are as with podman."""
    student, folder = podman.student, podman.student.home / "beside"
    ours: list[tuple[str, list[tuple[int, int]]]] = []
    theirs: list[tuple[str, list[tuple[int, int]]]] = []
    for user in USERS:
        for call, first, seen in ((podman, (f"--runtime={RUNC}",), theirs), (student, (), ours)):
            folder.mkdir()
            os.chown(folder, ID, ID)
            words = ("run", "--rm", "--network=none", f"--userns={word}", *user, "-v", f"{folder}:/s", "busybox")
            out = call(*first, *words, "sh", "-c", LOOK + NAMED * (not user)).stdout
            seen.append((out, [(each.lstat().st_uid, each.lstat().st_gid) for each in folder.iterdir()]))
            shutil.rmtree(folder)
    assert ours == theirs
    assert theirs[0][0].count("\n") > 10  # the control: the boxes ran, and the users differ
    assert len({out.split()[0] for out, _ in theirs}) == (3 if word.startswith("keep-id") else 2)


def shown(output: str) -> str:
    """Return what podman prints, without the ids of containers."""
    return "an id" if len(output.strip()) == 64 else output
