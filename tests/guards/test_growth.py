"""The cost of a list grows by a known number of system calls for each box: counted under strace(1), never timed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import strace
from tests.support.stored_boxes import crowd, home_at
from tinybox.container.records import resting_states

if TYPE_CHECKING:
    from tests.conftest import Command
    from tinybox.container.records.paths import Paths

TINYBOX = str(Path(sys.executable).with_name("tinybox"))
FEW, MORE, MANY = 20, 60, 70
NAME, RECORD = 1, 4  # readlink(2) of its name; open, fstat, read and close of its state.json


def calls(folder: Path, count: int, *words: str) -> int:
    """Return how many system calls a command makes over a new store of *count* boxes that have ended."""
    paths = home_at(folder / str(count))
    crowd(paths, count)
    return run(paths, folder / f"{count}.calls", *words)


def run(paths: Paths, log: Path, *words: str) -> int:
    """Return how many system calls a command makes, and check that it lists all boxes with -a, else none."""
    settings = {**os.environ, "TINYBOX_ROOT": paths.root}
    done = subprocess.run([strace.strace(), "-f", "-o", str(log), TINYBOX, *words],
                          env=settings, capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1 + len(paths.stored()) * ("-a" in words)
    return log.read_text().count("\n")


def test_a_box_at_rest_costs_ps_one_read(tmp_path: Path) -> None:
    """`ps -a` makes five calls for each box that has ended: its name is read, and one file, and nothing else of it."""
    more = calls(tmp_path, MORE, "ps", "-a") - calls(tmp_path, FEW, "ps", "-a")
    assert NAME + RECORD <= more / (MORE - FEW) < NAME + RECORD + 0.5  # the half: longer lists of two directories


def test_a_box_among_many_costs_ps_one_call(tmp_path: Path) -> None:
    """From the second `ps -a` on over more than 64 boxes, each costs one stat(2): no file and no link is read."""
    counts = []
    for count in (MANY, 2 * MANY):
        paths = home_at(tmp_path / str(count))
        crowd(paths, count)
        newest = max(os.stat(f"{paths.bundle(box)}/state.json").st_ctime_ns for box in paths.stored())
        while time.time_ns() <= newest + resting_states.SETTLED:
            time.sleep(0.05)
        made = run(paths, tmp_path / "first", "ps", "-a")
        counts.append(run(paths, tmp_path / "second", "ps", "-a"))
        assert counts[-1] < made - 3 * count  # the control: the first one has read them
    assert 1 <= (counts[1] - counts[0]) / MANY < 1 + 0.5


def test_a_box_at_rest_costs_other_commands_nothing(tmp_path: Path) -> None:
    """The clean-up that every command begins with, and `ps` of what runs, read nothing of boxes that have ended."""
    more = calls(tmp_path, MORE, "ps") - calls(tmp_path, FEW, "ps")
    assert more / (MORE - FEW) < 0.5


@pytest.mark.root
def test_a_running_box_costs_other_commands_three_calls(tinybox: Command, tmp_path: Path) -> None:
    """Each command looks whether the owner of a running box has died; `ps` reads its state, its group and its ports."""
    boxes: list[str] = []

    def more(count: int) -> None:
        boxes.extend(tinybox("run", "-d", "--network", "none", "busybox", "sleep", "1000").stdout.strip()
                     for _ in range(count))  # fmt: skip

    def counted(*words: str) -> int:
        log = tmp_path / "calls"
        command = [strace.strace(), "-f", "-o", str(log), tinybox.path, *words]
        subprocess.run(command, env=tinybox.environment, capture_output=True, check=True)
        return log.read_text().count("\n")

    try:
        more(1)
        words = {"ps": ("ps",), "exec": ("exec", boxes[0], "true"), "volume ls": ("volume", "ls")}
        few = {name: counted(*words[name]) for name in words}
        more(3)
        each = {name: (counted(*words[name]) - few[name]) / 3 for name in words}
    finally:
        tinybox("rm", "-f", *boxes)
    assert 1 <= each["volume ls"] <= 5
    assert 1 <= each["exec"] <= 12  # a wait of another length is another number of calls
    assert 10 <= each["ps"] <= 20
