"""Many boxes, one after the other and at once: none disturbs another, and none leaves a trace."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import no_trace
from tests.support.boxes import new_name
from tests.support.slowness import SLOWNESS

if TYPE_CHECKING:
    from tests.conftest import Command

pytestmark = [pytest.mark.root, pytest.mark.slow]

LIMIT = 600.0 * SLOWNESS  # seconds for each; a quick machine takes a hundredth of it


def test_a_hundred_boxes_one_after_the_other(tinybox: Command) -> None:
    """Each ends with its own status, within its limits, and after the last one the host is as it was."""
    begin = time.monotonic()
    for number in range(100):
        done = tinybox("run", "--rm", "-m", "64m", "busybox", "sh", "-c", f"echo {number}; exit {number}")
        assert (done.returncode, done.stdout, done.stderr) == (number, f"{number}\n", "")
        assert time.monotonic() - begin < LIMIT
    assert os.listdir(Path(tinybox.root, "run")) == []


def test_twenty_boxes_at_once(tinybox: Command) -> None:
    """Started together, all alive at the same time, each with its own name, limit, status and file of the same path."""
    begin, word = time.monotonic(), new_name()
    script = "echo $0 > /mine; echo READY; read go; cat /mine; exit $0"
    boxes = [
        tinybox.start("run", "--rm", "-i", "-m", "64m", "--name", f"{word}-{number}", "busybox", "sh", "-c", script,
                      str(number), stdin=-1)
        for number in range(20)
    ]  # fmt: skip
    try:
        for box in boxes:
            assert box.stdout is not None
            assert box.stdout.readline() == "READY\n", box.communicate()
        groups = [path for path in no_trace.cgroups() if "unified" in path or "memory" not in path]
        assert len({os.path.basename(path) for path in groups}) >= 20
        names = {entry.name for entry in os.scandir(Path(tinybox.root, "run"))}
        assert {f"{word}-{number}" for number in range(20)} <= names
        ended = [box.communicate("go\n", timeout=LIMIT) for box in boxes]
    finally:
        for box in boxes:
            box.kill()
            box.wait()
    assert [box.returncode for box in boxes] == list(range(20))
    assert [said for said, _ in ended] == [f"{number}\n" for number in range(20)]
    assert [told for _, told in ended] == [""] * 20
    assert time.monotonic() - begin < LIMIT


def test_one_name_at_a_time(tinybox: Command) -> None:
    """Of ten boxes that want the same name at once one gets it and nine get the error; then the name is free again."""
    name = new_name()
    script = "echo READY; read go"
    boxes = [
        tinybox.start("run", "--rm", "-i", "--name", name, "busybox", "sh", "-c", script, stdin=-1) for _ in range(10)
    ]
    try:
        first = [box.stdout.readline() for box in boxes if box.stdout]
        winners = [box for box, line in zip(boxes, first, strict=True) if line == "READY\n"]
        assert len(winners) == 1
        for box in boxes:
            said, told = box.communicate("go\n", timeout=LIMIT)
            assert said == ""
            if box not in winners:
                assert box.returncode == 125
                assert f'"{name}": is already in use by container' in told
                assert len(told.splitlines()) == 1
        assert winners[0].returncode == 0
    finally:
        for box in boxes:
            box.kill()
            box.wait()
    assert tinybox("run", "--rm", "--name", name, "busybox", "true").returncode == 0


def test_boxes_that_are_killed_together_leave_nothing(tinybox: Command) -> None:
    """Eight tinybox processes are killed at once; after one more command nothing of their boxes is left."""
    words = ("run", "--rm", "-m", "64m", "busybox", "sh", "-c", "echo READY; sleep 100")
    boxes = [tinybox.start(*words) for _ in range(8)]
    for box in boxes:
        assert box.stdout is not None
        assert box.stdout.readline() == "READY\n"
    for box in boxes:
        box.kill()
    for box in boxes:
        box.communicate(timeout=LIMIT)
    assert len(os.listdir(Path(tinybox.root, "run"))) >= 8
    assert tinybox("images").returncode == 0
    assert os.listdir(Path(tinybox.root, "run")) == []
    assert os.listdir(Path(tinybox.root, "containers")) == []
