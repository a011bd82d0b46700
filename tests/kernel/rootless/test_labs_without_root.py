"""Labs without root: each either works, or says in one line what it needs."""

from __future__ import annotations

import json

import pytest

from tests.support.student import Student, student
from tinybox.lab import course

__all__ = ["student"]

pytestmark = [pytest.mark.root, pytest.mark.rootless]
WORK = (
    "fork",
    "namespaces",
    "rootless",
    "ipc-shm",
    "lock",
    "cow-overlay",
    "job-control",
    "threads",
    "segfault",
    "limits",
)
NEED_ROOT = ("pid", "cpu", "proc", "zombie", "cgroup-memory", "cgroup-pids", "cgroup-by-hand")


def test_labs_work_or_say_what_they_need(student: Student) -> None:
    """Labs about other things than limits pass, with their controls; those about limits say so in one line."""
    done = student("lab", "check", "--image", "busybox", "--json", *WORK, *NEED_ROOT, "checkpoint")
    found = {pair["id"]: pair for pair in json.loads(done.stdout)}
    assert {name: found[name]["reason"] for name in WORK} == dict.fromkeys(WORK, "")
    assert {name: found[name]["verdict"] for name in WORK} == dict.fromkeys(WORK, course.PASS)
    for name in NEED_ROOT:
        assert found[name]["verdict"] == course.INCONCLUSIVE
        reason = found[name]["reason"]
        assert "it needs root, or a limit: " in reason
        assert ("--pid host" if name == "pid" else "systemd-run --user --scope -p Delegate=yes") in reason
        assert len(reason.splitlines()) == 1
    assert found["checkpoint"]["verdict"] == course.INCONCLUSIVE
    assert found["checkpoint"]["reason"].startswith("criu: it needs root of the host")
    assert done.returncode == 0


def test_the_lab_rootless_needs_other_ids(student: Student) -> None:
    """Without a line in /etc/subuid and /etc/subgid the lab is neither a PASS nor a FAIL, and names the files."""
    done = student("lab", "check", "--image", "busybox", "--json", "rootless", tables={"subuid": "", "subgid": ""})
    (pair,) = json.loads(done.stdout)
    assert (pair["verdict"], pair["lab"]["reason"].partition(":")[0]) == (
        course.INCONCLUSIVE,
        "it needs other ids than 0",
    )
