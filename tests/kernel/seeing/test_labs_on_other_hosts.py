"""Labs about limits, shells and capabilities, where the host lacks what they need, and when they are killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conftest import TIMEOUT
from tinybox.isolation.cgroups import group
from tinybox.isolation.cgroups.hierarchies import hierarchies
from tinybox.lab import bench, course
from tinybox.linux.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Command

pytestmark = pytest.mark.root

# A hard limit that this process may not raise: root of many hosts has CAP_SYS_RESOURCE.
FEW_FILES = ["setpriv", "--bounding-set", "-sys_resource", "prlimit", "--nofile=4096:4096"]


def children(pid: int) -> list[int]:
    """Return the children of a process; none if it has ended; see proc_tid_children(5)."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def killed_when(tinybox: Command, name: str, fact: Callable[[int], list[int]]) -> list[int]:
    """Run a lab, kill it with SIGKILL as soon as *fact* finds something for its pid, and return that."""
    with tinybox.start("lab", "run", name) as lab:
        found = until(lambda: fact(lab.pid), time.monotonic() + TIMEOUT, 0.002)
        os.kill(lab.pid, signal.SIGKILL)
        lab.communicate()
    assert found, "the lab has not come to its middle"
    return found


@pytest.mark.parametrize(
    ("name", "way", "reason"),
    [
        ("nohup-shell", ["env", "PATH=/nowhere"], "this host has no bash"),
        ("select-poll-epoll", FEW_FILES, "a process may open 4096 files here"),
        ("epoll", FEW_FILES, "a process may open 4096 files here"),
        ("userns", ["setpriv", "--bounding-set", "-sys_nice"], "the host's root may not raise a priority"),
    ],
)
def test_a_host_that_lacks_something(tinybox: Command, name: str, way: list[str], reason: str) -> None:
    """The lab and its control are INCONCLUSIVE, and one line says what is missing; neither fails."""
    command = [*way, tinybox.path, "lab", "check", "--json", "--image", "busybox", name]
    done = subprocess.run(
        command, env=tinybox.environment, capture_output=True, text=True, check=False, timeout=TIMEOUT
    )
    (pair,) = json.loads(done.stdout)
    assert [pair[side]["verdict"] for side in ("lab", "control")] == [course.INCONCLUSIVE] * 2
    assert pair["reason"].startswith(reason)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_directory_on_no_disk(tinybox: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """cgroup-io limits a disk: on a tmpfs it is INCONCLUSIVE."""
    monkeypatch.setenv("TINYBOX_ROOT", tinybox.root)
    monkeypatch.setattr(bench.Bench, "folder", lambda _: "/dev/shm")
    pair = course.conduct_both(course.load("cgroup-io"), image="busybox")
    assert pair.verdict == course.INCONCLUSIVE
    assert "/dev/shm is on no block device" in pair.reason


def test_a_killed_lab_leaves_no_job(tinybox: Command) -> None:
    """A disowned job of nohup-shell has lost its shell and its terminal; it ends with the lab all the same."""
    met: dict[bytes, int] = {}

    def jobs(lab: int) -> list[int]:
        for job in (job for shell in children(lab) for job in children(shell)):
            if b"sigtimedwait" in words(job):
                met[words(job).split(b"\0")[-2]] = job
        return list(met.values()) if b"exit" in met else []  # the first terminal is closed when this job begins

    left = killed_when(tinybox, "nohup-shell", jobs)
    assert until(lambda: not any(b"sigtimedwait" in words(pid) for pid in left), time.monotonic() + TIMEOUT, 0.01)


def words(pid: int) -> bytes:
    """Return the command line of a process; nothing if it has ended; see proc_pid_cmdline(5)."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def test_the_next_run_removes_the_group_of_a_killed_lab(tinybox: Command) -> None:
    """SIGKILL leaves the group that cgroup-by-hand has made; the next run of the lab removes it, and its own."""
    parent = Path(f"{hierarchies().root('pids')}/{group.place('id')}").parent

    def groups(lab: int) -> list[int]:
        return [lab] if (parent / f"by-hand-{lab}").exists() else []

    def left() -> bool:
        (lab,) = killed_when(tinybox, "cgroup-by-hand", groups)
        return (parent / f"by-hand-{lab}").exists()

    assert any(left() for _ in range(20))  # on a busy machine a lab may have ended before it is killed
    assert tinybox("lab", "run", "cgroup-by-hand").returncode == 0
    assert not list(parent.glob("by-hand-*"))
