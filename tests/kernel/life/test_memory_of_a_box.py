"""The memory that a detached box needs beside its program: that of its monitor, and that of PID 1; ADR 43."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.boxes import lives, until
from tests.support.detached_boxes import Life, life, stdout_of
from tinybox.container.checkpoints import outside
from tinybox.linux.filesystem.files import file_system
from tinybox.linux.machine_code.own_swap import IN_MEMORY

if TYPE_CHECKING:
    from tests.conftest import Command

pytestmark = pytest.mark.root

PID_1_MOST = 64  # KiB of PID 1: four pages of its own, and one or two of the kernel's
MONITOR_MOST = 2560  # KiB of a monitor that waits; with all of its memory it has some 7000
COUNTS = "trap 'echo got; exit 3' USR1; echo ready; while :; do sleep 0.05; done"


def private(pid: int) -> int:
    """Return how many KiB of a process's memory no other process shares; see proc_pid_smaps(5)."""
    rows = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(row.split()[1]) for row in rows if row.startswith(("Private_Dirty:", "Private_Clean:")))


def areas(pid: int) -> list[str]:
    """Return the names of the memory areas of a process that have one."""
    rows = [row.split(None, 5) for row in Path(f"/proc/{pid}/maps").read_text().splitlines()]
    return [row[5] for row in rows if len(row) == 6]


def has_moved(it: Life) -> bool:
    """Return whether the monitor's memory is in a file in the bundle, which has no name."""
    folder = str(it.root / "containers" / it.id)
    return any(name.startswith(folder) and name.endswith("(deleted)") for name in areas(it.monitor))


def is_on_disk(root: Path) -> bool:
    """Return whether the store is on a disk: in a file in memory, a monitor's memory would be no smaller."""
    fd = os.open(root, os.O_RDONLY)
    try:
        return file_system(fd) not in IN_MEMORY
    finally:
        os.close(fd)


def check_pid_1(it: Life) -> int:
    """Assert that PID 1 of a box maps nothing of the host, and has little memory; return its pid.

    A checkpoint has to know the program that it still runs, the host's Python, in another way.
    """
    first = it.pid
    until(lambda: areas(first) and not [name for name in areas(first) if "/" in name])
    assert set(areas(first)) <= {"[stack]", "[vdso]", "[vvar]", "[vvar_vclock]", "[vsyscall]"}
    assert private(first) <= PID_1_MOST
    foreign = [file.path for file in outside.external_files([first], outside.mounts(first)).values()]
    assert foreign == [os.path.realpath(sys.executable)]
    assert it.inside("cat /proc/1/comm") == "tinybox:init"
    return first


def test_a_detached_box_needs_little_memory(tinybox: Command) -> None:
    """PID 1 maps no file; the monitor's memory is in a file. Its program, its log and its restarts go on as before.

    Then the monitor is killed: the box ends with it, as always. The control: a monitor that works has all its memory.
    """
    with life(tinybox, "--restart", "on-failure:1", "busybox", "sh", "-c", COUNTS) as it:
        moves = is_on_disk(it.root)
        until(lambda: it.log() == "ready\n")
        check_pid_1(it)
        until(lambda: (has_moved(it) and private(it.monitor) <= MONITOR_MOST) == moves)
        tinybox("exec", it.name, "sh", "-c", "kill -USR1 -1")  # `kill` forbids the restart; this may end with the box
        until(lambda: it.state.get("restarts") == 1)
        until(lambda: it.log().split() == ["ready", "got", "ready"])
        assert private(it.monitor) > MONITOR_MOST
        first = check_pid_1(it)
        os.kill(it.monitor, signal.SIGKILL)
        until(lambda: not lives(first))
        assert "Exited" in stdout_of(tinybox, "ps", "-a", "--filter", f"name={it.name}")
