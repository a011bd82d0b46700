"""The cost of a list grows by a known number of system calls for each box: counted under strace(1), never timed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.support import strace
from tests.support.stored_boxes import crowd, home_at

TINYBOX = str(Path(sys.executable).with_name("tinybox"))
FEW, MORE = 20, 60
NAME, RECORD = 1, 4  # readlink(2) of its name; open, fstat, read and close of its state.json


def calls(folder: Path, count: int, *words: str) -> int:
    """Return how many system calls a command makes over a store of *count* boxes that have ended."""
    root = folder / str(count)
    crowd(home_at(root), count)
    log = folder / f"{count}.calls"
    settings = {**os.environ, "TINYBOX_ROOT": str(root)}
    done = subprocess.run([strace.strace(), "-f", "-o", str(log), TINYBOX, *words],
                          env=settings, capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == (count + 1 if "-a" in words else 1)
    return log.read_text().count("\n")


def test_a_box_at_rest_costs_ps_one_read(tmp_path: Path) -> None:
    """`ps -a` makes five calls for each box that has ended: its name is read, and one file, and nothing else of it."""
    more = calls(tmp_path, MORE, "ps", "-a") - calls(tmp_path, FEW, "ps", "-a")
    assert NAME + RECORD <= more / (MORE - FEW) < NAME + RECORD + 0.5  # the half: longer lists of two directories


def test_a_box_at_rest_costs_other_commands_nothing(tmp_path: Path) -> None:
    """The clean-up that every command begins with, and `ps` of what runs, read nothing of boxes that have ended."""
    more = calls(tmp_path, MORE, "ps") - calls(tmp_path, FEW, "ps")
    assert more / (MORE - FEW) < NAME + 0.5  # the names are read: a directory of links
