"""The control groups of a spare host: they stop a loop of fork(2), show the host's layout, and go with the check.

These tests run in the machine with version 2, too: see CHOSEN in tests/vm/suite.py.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.boxes import PATIENCE
from tinybox.isolation.cgroups.group import place
from tinybox.isolation.cgroups.hierarchies import hierarchies
from tinybox.linux import proc
from tinybox.linux.waiting import until
from tinybox.workshop import levels, spare_groups, spare_host, trial

if TYPE_CHECKING:
    from tests.conftest import Command

pytestmark = pytest.mark.root

CGROUP = levels.ORDER.index("cgroup") + 1


def test_the_spare_host_has_the_layout_of_the_host(rootfs: str) -> None:
    """Its first process is in the root that it sees (version 1) or in a leaf (version 2), and it can make groups."""

    def look() -> list[object]:
        tree = Path(spare_groups.TREE)
        groups = [tree / each if (tree / each).is_dir() else tree for each in spare_groups.CONTROLLERS]
        for group in set(groups):
            (group / "mine").mkdir()
        limits = [(group / "mine" / name).exists() for group, name in zip(groups, FILES[version], strict=True)]
        return [Path("/proc/self/cgroup").read_text().splitlines(), limits]

    version = hierarchies().version("pids")
    lines, limits = spare_host.visit(look, "", rootfs)
    assert limits == [True, True]
    assert [line for line in lines if "pids" in line] == ([] if version == 2 else [f"{number_of(lines)}:pids:/"])
    assert ("0::/host" in lines) == (hierarchies().mode == "v2")
    assert groups() == []


FILES = {1: ("memory.limit_in_bytes", "pids.max"), 2: ("memory.max", "pids.max")}  # as CONTROLLERS


def number_of(lines: list[str]) -> str:
    """Return the number of the hierarchy that has the controller pids, from the lines of /proc/PID/cgroup."""
    return next(line.partition(":")[0] for line in lines if ":pids:" in line)


def test_the_level_of_limits_passes(rootfs: str) -> None:
    """The solution passes in the layout of this host, and no group is left."""
    assert levels.check(CGROUP, levels.solution(CGROUP), rootfs).missing == ""
    assert groups() == []


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
    """After SIGKILL of `workshop check`, its processes and groups end, also those that the program has made."""
    course = Path(rootfs).parent
    waits = levels.solution(CGROUP).replace('os.write(opener, b"!")', "signal.pause()")
    (course / levels.file_name(CGROUP)).write_text(waits)
    with tinybox.start("workshop", "check", str(CGROUP), "--dir", str(course)) as check:
        assert until(lambda: any((group / "box").exists() for group in groups()), time.monotonic() + PATIENCE, 0.01)
        # The keeper of the groups, the first process of the spare host, two programs of the student, and their boxes
        pids = below(check.pid)
        assert len(pids) >= 4
        check.kill()
        check.wait()
        assert until(lambda: not any(map(is_running, pids)), time.monotonic() + PATIENCE, 0.01)
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
