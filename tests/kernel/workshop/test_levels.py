"""Every level: its solution passes, its skeleton and plausible wrong programs do not, and a sentence says why not."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.kernel.workshop.wrong_programs import WRONG
from tinybox.errors import TinyboxError
from tinybox.images.store import Store
from tinybox.isolation.cgroups.group import place
from tinybox.isolation.cgroups.hierarchies import hierarchies
from tinybox.linux import proc
from tinybox.linux.waiting import until
from tinybox.workshop import levels, spare_groups, spare_host, student_folder, trial

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Command

pytestmark = pytest.mark.root

NUMBERS = range(1, len(levels.ORDER) + 1)


@pytest.fixture(scope="module")
def rootfs(store_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Lay out one student's directory for all tests, and return the files of the image in it."""
    path = tmp_path_factory.mktemp("course")
    student_folder.lay_out(str(path), Store(str(store_root)).image("busybox"))
    yield str(path / "rootfs")
    assert not list((path / "rootfs/proc").iterdir()), "a check has left something in the image"


@pytest.mark.parametrize("number", NUMBERS)
def test_the_solution_passes(number: int, rootfs: str) -> None:
    """The solution of a level passes, and each fact that was seen is a sentence of its own."""
    verdict = levels.check(number, levels.solution(number), rootfs)
    assert verdict.missing == ""
    assert len(verdict.seen) > 5
    assert len(set(verdict.seen)) == len(verdict.seen)


@pytest.mark.parametrize("number", NUMBERS)
def test_the_skeleton_does_not_pass(number: int, rootfs: str) -> None:
    """The student's file, as it is laid out, is told what its first part has to do."""
    missing = levels.check(number, levels.skeleton(number), rootfs).missing
    assert missing == f"part 1 is not written yet: {levels.tasks(number)['1']}"


@pytest.mark.parametrize(("number", "old", "new", "sentence"), WRONG)
def test_a_wrong_program_does_not_pass(number: int, old: str, new: str, sentence: str, rootfs: str) -> None:
    """A plausible wrong program is refused, with the one fact of the kernel that shows the mistake."""
    program = levels.solution(number)
    assert program.count(old) == 1
    assert sentence in levels.check(number, program.replace(old, new), rootfs).missing


@pytest.mark.parametrize("number", NUMBERS)
def test_a_level_has_three_wrong_programs(number: int) -> None:
    """At least three wrong programs of each level are tried above."""
    assert sum(each[0] == number for each in WRONG) >= 3


def test_a_program_of_root_does_not_reach_the_host(rootfs: str, tmp_path: Path) -> None:
    """A program that renames the host, writes files and mounts as root changes the spare host, not this one."""
    file = tmp_path / "file"
    file.write_text("before")
    before = socket.gethostname(), Path("/proc/self/mountinfo").read_text(), os.listdir(rootfs)

    def harm() -> list[str]:
        errors = []
        for act in (lambda: socket.sethostname("spare"), lambda: file.write_text("after"),
                    lambda: Path("/mnt/rootfs/new").write_text(""), lambda: os.mkdir("/etc/new")):  # fmt: skip
            try:
                act()
            except OSError as error:
                errors.append(error.strerror or "")
        return [socket.gethostname(), *errors]

    assert spare_host.visit(harm, "", rootfs) == ["spare", "Read-only file system", "Read-only file system"]
    assert (socket.gethostname(), Path("/proc/self/mountinfo").read_text(), os.listdir(rootfs)) == before
    assert file.read_text() == "before"


def test_a_check_that_takes_too_long_is_ended(rootfs: str) -> None:
    """A check ends at its deadline with one line, and all of its processes end with it; a short one does not."""

    def wait() -> None:
        if os.fork() == 0:
            os.execvp("sleep", ["sleep", "1000"])
        os.waitpid(-1, 0)

    with pytest.raises(TinyboxError, match="the check took more than 0 s"):
        spare_host.visit(wait, "", rootfs, seconds=0.3)
    assert spare_host.visit(lambda: 1, "", rootfs, seconds=50) == 1


def test_a_loop_of_fork_is_stopped(rootfs: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that forks too often gets EAGAIN at its limit, and leaves no process; a higher limit lets it go on."""
    loop = "for _ in range(120):\n        child = os.fork()\n        if child == 0:\n            time.sleep(1000)"
    program = levels.solution(1).replace("child = os.fork()", loop).replace("import os", "import os, time")
    error = "BlockingIOError: [Errno 11]"
    assert error in levels.check(1, program, rootfs).missing
    monkeypatch.setattr(spare_groups, "PROCESSES", 1000)
    monkeypatch.setattr(trial, "PATIENCE", 1.0)
    assert error not in levels.check(1, program, rootfs).missing
    assert below(os.getpid()) == []


def test_a_killed_check_leaves_nothing(tinybox: Command, rootfs: str) -> None:
    """After SIGKILL of `workshop check`, all processes and groups of the spare host end; they were there before."""
    course = Path(rootfs).parent
    (course / levels.file_name(1)).write_text("import time\ntime.sleep(1000)\n")
    with tinybox.start("workshop", "check", "1", "--dir", str(course)) as check:
        # The keeper of the groups, the first process of the spare host, and the student's
        assert until(lambda: len(below(check.pid)) == 3, time.monotonic() + 20, 0.01)
        pids = below(check.pid)
        assert groups()
        check.kill()
        check.wait()
        assert until(lambda: not any(map(is_running, pids)), time.monotonic() + 20, 0.01)
    assert groups() == []


def groups() -> list[Path]:
    """Return the control groups of spare hosts, in all hierarchies."""
    return [group for root in hierarchies().roots() for group in Path(root, place("")).glob("workshop-*")]


def is_running(pid: int) -> bool:
    """Return whether process *pid* exists and is no zombie; see proc_pid_stat(5)."""
    found = proc.stat_of(pid)
    return found is not None and found.state not in "ZX"


def below(pid: int) -> list[int]:
    """Return the pids of all processes below process *pid*; see /proc/PID/task/TID/children in proc(5)."""
    try:
        children = [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
    return [*children, *(each for child in children for each in below(child))]
