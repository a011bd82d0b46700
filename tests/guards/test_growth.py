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
from tests.support.detached_boxes import stdout_of
from tests.support.stored_boxes import connected, crowd, endpoint, home_at
from tinybox.container.network import hosts_file
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


def least_calls(tinybox: Command, log: Path, *words: str) -> int:
    """Return how many system calls a command makes, the least of three times: a longer wait is more calls.

    strace prints a call twice, the second time with "resumed", if another process makes one meanwhile.
    """
    command, counts = [strace.strace(), "-f", "-o", str(log), tinybox.path, *words], []
    for _ in range(3):
        subprocess.run(command, env=tinybox.environment, capture_output=True, check=True)
        counts.append(sum(" resumed>" not in line for line in log.read_text().splitlines()))
    return min(counts)


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
        return least_calls(tinybox, tmp_path / "calls", *words)

    try:
        more(1)
        words = {"ps": ("ps",), "exec": ("exec", boxes[0], "true"), "volume ls": ("volume", "ls")}
        few = {name: counted(*words[name]) for name in words}
        more(3)
        each = {name: (counted(*words[name]) - few[name]) / 3 for name in words}
    finally:
        tinybox("rm", "-f", *boxes)
    assert 1 <= each["volume ls"] <= 5
    assert 1 <= each["exec"] <= 12
    assert 10 <= each["ps"] <= 20


BESIDE = 15  # calls for each neighbour: its record 4, its name 1; its host name 5, its hosts file 5


@pytest.mark.root
def test_a_neighbour_costs_a_change_of_names_fifteen_calls(tinybox: Command, tmp_path: Path) -> None:
    """The names of one box in the hosts files of its neighbours: a fixed number of calls for each, at start and end."""
    network, boxes = f"growth{os.getpid()}", list[str]()

    def more(count: int) -> None:
        words = ("run", "-d", "--network", network, "busybox", "sleep", "1000")
        boxes.extend(stdout_of(tinybox, *words).strip() for _ in range(count))

    def counted() -> int:
        return least_calls(tinybox, tmp_path / "calls", "run", "--rm", "--network", network, "busybox", "true")

    stdout_of(tinybox, "network", "create", network)
    try:
        more(4)
        few = counted()
        more(8)
        each = (counted() - few) / 8
    finally:
        tinybox("rm", "-f", *boxes)
        tinybox("network", "rm", network)
    assert 2 * BESIDE <= each <= 2 * BESIDE + 8  # whether its owner has died: 3; a longer wait


def steps_of_names(folder: Path, count: int) -> int:
    """Return how many functions are called, those of C included, to write the names of a network of *count* boxes."""
    paths, steps = home_at(folder / str(count)), 0
    for number in range(count):
        connected(paths, f"box{number}", endpoint("net", f"10.1.{number >> 8}.{number & 255}"))

    def note(_frame: object, event: str, _argument: object) -> None:
        nonlocal steps
        steps += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        hosts_file.refresh(paths, ["net"])
    finally:
        sys.setprofile(None)
    return steps


def test_the_work_for_names_grows_as_the_boxes(tmp_path: Path) -> None:
    """Twice as many boxes are twice as many steps: no box looks at each other box. System calls do not show that."""
    tmp_path.chmod(0o700)
    steps_of_names(tmp_path, FEW // 2)  # the first call also does the work that a process does once
    few, more = steps_of_names(tmp_path, FEW), steps_of_names(tmp_path, 2 * FEW)
    assert few > 10 * FEW  # the control: the work is counted
    assert more < 2.1 * few
