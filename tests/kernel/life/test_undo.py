"""A failed start is undone, also with few file descriptors; the next command removes the rest."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import no_trace
from tests.support.boxes import PATIENCE, new_name
from tests.support.detached_boxes import nothing_is_left

if TYPE_CHECKING:
    from tests.conftest import Command

pytestmark = pytest.mark.root

STUBBORN = """
import sys
from tinybox.container.planning import cgroups
from tinybox.errors import HostError
import tinybox.cli

def refuse(made):
    raise HostError("cgroup", "it cannot be removed")

cgroups._end = refuse
tinybox.cli.main()
"""


def groups() -> set[str]:
    """Return the control groups of boxes."""
    return {path for path in no_trace.cgroups() if Path(path).name != no_trace.room()}


def limited(tinybox: Command, count: int, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command that may have *count* files open; see RLIMIT_NOFILE in getrlimit(2)."""
    script = f'ulimit -n {count}; exec "$@"'
    return subprocess.run(["sh", "-c", script, "sh", tinybox.path, *words], env=tinybox.environment, check=False,
                          capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=PATIENCE)  # fmt: skip


@pytest.mark.parametrize("kind", ["", "-d", "--name"])
def test_with_few_descriptors_nothing_is_left(tinybox: Command, kind: str) -> None:
    """With any number of them `run` works, or reports in one line that it cannot, and its group is gone at once."""
    assert tinybox("run", "--rm", "busybox", "true").returncode == 0
    before, outcomes = groups(), set()
    for count in range(8, 40):
        name = new_name()
        words = {"": ["--rm"], "-d": ["--rm", "-d", "--name", name], "--name": ["--name", name]}[kind]
        done = limited(tinybox, count, "run", *words, "busybox", "true")
        if kind == "-d" and done.returncode == 0:
            tinybox("wait", name)
        assert groups() == before, (count, done)
        assert done.returncode == 0 or len(done.stderr.splitlines()) == 1, done
        outcomes.add((done.returncode, "Too many open files" in done.stderr))
        tinybox("rm", "-f", name)
        nothing_is_left(tinybox)
    assert outcomes >= {(0, False), (125, True)}


@pytest.mark.parametrize("words", [["--rm"], [], ["-d", "--rm"], ["-d"]])
def test_leftovers_of_a_failed_undo_are_found_by_the_next_command(tinybox: Command, words: list[str]) -> None:
    """A control group that cannot be removed keeps the box's record, too: the next command removes both."""
    before, name = groups(), new_name()
    done = subprocess.run(
        [sys.executable, "-c", STUBBORN, "run", "--name", name, *words, "busybox", "/no/such/program"],
        env=tinybox.environment, cwd=Path(__file__).parents[3], stdin=subprocess.DEVNULL, capture_output=True,
        text=True, check=False, timeout=PATIENCE,
    )  # fmt: skip
    assert done.returncode == 127, done
    assert len(groups() - before) > 0  # the control: the group is still there
    assert os.listdir(Path(tinybox.root, "run")) != []
    tinybox("ps")
    assert groups() == before
    tinybox("rm", name)
    nothing_is_left(tinybox)
