"""A user without root who was given a directory of cgroup v2: boxes are paused there, and limits hold."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.boxes import PATIENCE, one_line
from tests.support.student import ID, Student, student
from tinybox.isolation.cgroups import delegation
from tinybox.isolation.cgroups.hierarchies import hierarchies
from tinybox.linux.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["student"]

pytestmark = [pytest.mark.root, pytest.mark.rootless]
HOST = hierarchies()
LIMITS = {"cpu", "memory", "pids"}
CONTROLLERS = sorted((LIMITS | {"hugetlb"}) & HOST.v2_controllers)  # hugetlb is in version 2 on many hybrid hosts, too
PROGRAM = """
from tinybox.container.records import own_paths
from tinybox.isolation.cgroups.group import Cgroup
from tinybox.isolation.cgroups.hierarchies import hierarchies
from tinybox.isolation.cgroups.limits import settings
own_paths.resume()
where = hierarchies()
found = settings({"hugepageLimits": [{"pageSize": "2MB", "limit": 4 << 20}]}, where)
group = Cgroup("tinybox/program", where, {each.controller for each in found})
group.create()
for each in found:
    group.apply(each)
print(group.read("hugetlb", "hugetlb.2MB.max").strip())
group.remove()
"""


class Given:
    """A group that belongs to the user, as systemd's Delegate=yes gives it; a *shell* of the user is in it."""

    def __init__(self, student: Student) -> None:
        self.student, self.path = student, Path(f"{HOST.unified}/tinybox-given")
        for name in CONTROLLERS:
            (self.path.parent / "cgroup.subtree_control").write_text(f"+{name}")
        self.path.mkdir()
        for path in (self.path, *(self.path / name for name in ("cgroup.procs", "cgroup.subtree_control"))):
            os.chown(path, ID, ID)
        self.shell = subprocess.Popen(["sleep", "1000"], user=ID, group=ID, extra_groups=[])
        (self.path / "cgroup.procs").write_text(str(self.shell.pid))
        student.group = str(self.path)

    def of(self, pid: int) -> str:
        """Return the group of a process, from the given one on."""
        line = next(line for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines() if line.startswith("0::"))
        return line.partition("/tinybox-given")[2]

    def close(self) -> None:
        """Remove the group, in which only the shell may be left."""
        self.student.group = ""
        self.student("rm", "-f", "box", "other")  # those of a test that has failed
        self.shell.kill()
        self.shell.wait()
        assert until(lambda: not self.student.processes(), time.monotonic() + PATIENCE, 0.01)
        left = sorted(path.name for path in self.path.iterdir() if path.is_dir())
        for name in left:
            (self.path / name).rmdir()
        self.path.rmdir()
        (self.student.live / "tinybox" / delegation.FILE).unlink(missing_ok=True)
        assert left in ([], [delegation.COMMANDS])


@pytest.fixture
def given(student: Student) -> Iterator[Given]:
    """Give the user a group; the first command of a home starts in it, and the later ones beside it."""
    if HOST.unified is None:
        pytest.skip("this host has no cgroup v2")
    made = Given(student)
    yield made
    made.close()


def test_a_box_with_a_user_namespace_of_its_own_is_in_the_group(student: Student, given: Given) -> None:
    """--userns auto: the box is in its group, sees it as the root, and can be paused."""
    done = student("run", "-d", "--name", "box", "--userns", "auto", "busybox", "sleep", "1000")
    assert done.returncode == 0, done
    student.group = f"{given.path}/{delegation.COMMANDS}"
    found = json.loads(student.says("inspect", "box"))[0]
    assert given.of(found["State"]["Pid"]) == f"/tinybox/{found['Id']}"
    assert "0::/" in student.says("exec", "box", "cat", "/proc/self/cgroup").splitlines()
    student.says("pause", "box")
    assert "frozen 1" in (given.path / f"tinybox/{found['Id']}/cgroup.events").read_text()
    student.says("unpause", "box")
    student.group = ""
    student.says("rm", "-f", "box")
    assert not (given.path / "tinybox").exists()


def test_a_given_group_holds_the_boxes(student: Student, given: Given) -> None:
    """Pause, unpause, top, stats, --pid container: and rm work; the shell is moved beside the boxes, and all ends."""
    student.says("run", "-d", "--name", "box", "busybox", "sleep", "1000")
    assert given.of(given.shell.pid) == f"/{delegation.COMMANDS}"
    student.group = f"{given.path}/{delegation.COMMANDS}"
    found = json.loads(student.says("inspect", "box"))[0]
    assert given.of(found["State"]["Pid"]) == f"/tinybox/{found['Id']}"
    assert " cgroup " in student.says("run", "--dry-run", "busybox", "true")
    facts = {row["fact"]: row for row in json.loads(student("doctor", "--json").stdout)}
    assert str(given.path) in facts["limits"]["found"]
    student.says("pause", "box")
    assert student.says("ps", "--format", "{{.State}}") == "paused"
    assert "frozen 1" in (given.path / f"tinybox/{found['Id']}/cgroup.events").read_text()
    student.says("unpause", "box")
    assert student.says("exec", "box", "cat", "/proc/self/cgroup").splitlines()[-1] == "0::/"
    student.group = ""  # another session: what starts no process works from there, too
    student.says("pause", "box")
    one_line(student("exec", "box", "true"), 1, "paused")
    student.says("unpause", "box")
    assert "sleep 1000" in student.says("top", "box")
    for words in (("exec", "box", "true"), ("run", "busybox", "true")):
        one_line(student(*words), 126 if words[0] == "exec" else 125, "this command is outside of", "systemd-run")
    student.group = f"{given.path}/{delegation.COMMANDS}"
    member = student.says("run", "--rm", "--pid", "container:box", "busybox", "ps")
    assert "sleep 1000" in member
    everyone = student.says("run", "--rm", "--pid", "host", "busybox", "ps", "-o", "args")
    assert "sleep 1000" in everyone
    student.says("run", "-d", "--name", "other", "--pid", "host", "busybox", "sh", "-c", "sleep 2000 & sleep 3000")
    student.says("rm", "-f", "other")
    assert "sleep 2000" not in student.says("run", "--rm", "--pid", "host", "busybox", "ps", "-o", "args")
    assert student("lab", "check", "--image", "busybox", "pid", "ipc-signal").stdout.count(" PASS  ") == 4
    student.group = ""
    student.says("rm", "-f", "box")
    assert not (given.path / "tinybox").exists()


@pytest.mark.skipif(
    not HOST.v2_controllers.issuperset(LIMITS),
    reason="the limits are in cgroup v1 here, which is root's",
)
def test_limits_hold_in_a_given_group(student: Student, given: Given) -> None:
    """Memory, CPU time and the number of processes are limited; stats shows the limit; update changes it."""
    limits = ("-m", "32m", "--cpus", "0.5", "--pids-limit", "9")
    student.says("run", "-d", "--name", "box", *limits, "busybox", "sleep", "1000")
    student.group = f"{given.path}/{delegation.COMMANDS}"
    group = given.path / "tinybox" / json.loads(student.says("inspect", "box"))[0]["Id"]
    read = [(group / name).read_text().strip() for name in ("memory.max", "cpu.max", "pids.max")]
    assert read == [str(32 << 20), "50000 100000", "9"]
    assert student.says("stats", "--no-stream", "--format", "{{.MemUsage}}", "box").endswith(" / 32MiB")
    busy = student("exec", "box", "timeout", "1", "sh", "-c", "while :; do :; done")
    throttled = dict(line.split() for line in (group / "cpu.stat").read_text().splitlines())["nr_throttled"]
    assert (busy.returncode, int(throttled) > 0) == (143, True)
    assert "can't fork" in student("exec", "box", "sh", "-c", f"{'sleep 1000 & ' * 9}").stderr
    student.says("update", "--pids-limit", "40", "box")
    assert (group / "pids.max").read_text() == "40\n"
    assert student.says("exec", "box", "sh", "-c", f"{'sleep 1000 & ' * 9}echo all") == "all"  # the control
    student.says("rm", "-f", "box")
    grow = "head -c 64m /dev/zero | tail -c 64m | wc -c"
    assert student("run", "--rm", "-m", "32m", "busybox", "sh", "-c", grow).stdout.strip() != str(64 << 20)
    assert student.says("run", "--rm", "busybox", "sh", "-c", grow) == str(64 << 20)  # the control


@pytest.mark.skipif("hugetlb" not in CONTROLLERS, reason="this host has no controller hugetlb in version 2")
def test_a_controller_is_enabled_in_a_given_group(student: Student, given: Given) -> None:
    """A limit is written in a group of the user: the controller is enabled there, though a shell was in the group."""
    assert "hugetlb" not in (given.path / "cgroup.subtree_control").read_text()
    assert student.says("unshare", sys.executable, "-c", PROGRAM) == str(4 << 20)
    assert "hugetlb" in (given.path / "cgroup.subtree_control").read_text()
    assert given.of(given.shell.pid) == f"/{delegation.COMMANDS}"


def test_a_directory_that_is_handed_in_is_checked(student: Student, given: Given) -> None:
    """TINYBOX_CGROUP names the directory; one of root, or one in which the command is not, is a one-line error."""
    env = {delegation.HANDED: f"{HOST.unified}"}
    one_line(student("ps", env=env), 1, "is no control group of version 2 that this user may change")
    student.group = ""
    one_line(student("ps", env={delegation.HANDED: str(given.path)}), 1, "may not be moved there")
    student.group = str(given.path)
    student.says("run", "--rm", "busybox", "true", env={delegation.HANDED: str(given.path)})
    assert given.of(given.shell.pid) == f"/{delegation.COMMANDS}"
