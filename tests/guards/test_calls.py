"""A run is fast because it makes few system calls: strace(1) counts those of one `tinybox.run()`, which change little.

The figures, step by step, and what was left out are in ADR 41.
"""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.conftest import TIMEOUT, Command
from tests.support import strace

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.strace import Call

pytestmark = pytest.mark.root

MOST = 756  # 720 on Linux 6.18 with cgroups of both versions, CPython 3.11, and 5 % of room
# The second run is the one that counts: the first compiles the seccomp filter. access(2) of names that are not there
# marks its begin and its end.
SCRIPT = """
import os, tinybox
run = lambda: tinybox.run("busybox", "true", network="none", rm=True).status
assert run() == 0
os.access("@begin", os.F_OK)
assert run() == 0
os.access("@end", os.F_OK)
"""
PATH = re.compile(r'"(/[^"]*)"')
# What only a question to the kernel can tell: files that a user may make, and what another command has made meanwhile
UNKNOWN = (
    "/.dockerenv",
    "/extended",
    "/restart",
    "/volumes",
    "/networks",
    "/build-cache",
    "/blobs",
    "/manifests",
    "/cgroup.freeze",
)
# The locked directory of names, the event log, and the group's directory for clone3(2) and later for bpf(2)
AGAIN = re.compile(r"/(container-names|events\.log|cgroup/.*[0-9a-f]{64})$")


class Run(NamedTuple):
    """The system calls of one run: those of the caller's process, and those of the box's first process."""

    caller: list[Call]
    child: list[Call]
    root: str


@pytest.fixture(scope="module")
def run(store_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Return the calls of a run in a program that has run a box before."""
    tinybox = Command(store_root)
    folder: Path = tmp_path_factory.mktemp("calls")
    command = [strace.strace(), "-ff", "-s", "9999", "-o", str(folder / "of"), sys.executable, "-c", SCRIPT]
    subprocess.run(command, env=tinybox.environment, check=True, capture_output=True, timeout=TIMEOUT)
    logs = {int(path.suffix[1:]): strace.calls_of(path.read_text()) for path in folder.glob("of.*")}
    caller = next(calls for calls in logs.values() if any('"@begin"' in call.line for call in calls))
    begin, end = (next(n for n, call in enumerate(caller) if f'"@{mark}"' in call.line) for mark in ("begin", "end"))
    caller = caller[begin + 1 : end]
    child = next(int(call.answer) for call in caller if call.name == "clone3")
    return Run(caller, logs[child], tinybox.root)


def test_a_run_makes_few_calls(run: Run) -> None:
    """The caller and the box's first process make at most MOST calls together, and the trace has the important ones."""
    names = [call.name for call in (*run.caller, *run.child)]
    assert {"clone3", "bpf", "pivot_root", "seccomp", "move_mount", "capset"} <= set(names)  # the control
    assert len(names) <= MOST


def test_nothing_is_asked_for_that_is_known_to_be_absent(run: Run) -> None:
    """Of the store, the run directory and the control groups, the caller asks only for files that may be there."""
    absent = [PATH.search(call.line) for call in run.caller if call.answer == "ENOENT"]
    paths = [found[1] for found in absent if found]
    assert any(path.endswith("/.dockerenv") for path in paths)  # the control: absent files are found
    own = [path for path in paths if path.startswith((run.root, "/sys/fs/cgroup/"))]
    assert [path for path in own if not path.endswith(UNKNOWN)] == []


def test_no_file_of_tinybox_is_opened_twice(run: Run) -> None:
    """The caller opens each file of the host once, except those that it locks or appends to."""
    opened = [PATH.search(call.line) for call in run.caller if call.name in ("openat", "openat2")]
    paths = [found[1] for found in opened if found and not found[1].startswith("/proc/self/fd/")]
    assert "/proc/self/mountinfo" in paths  # the control
    assert [path for path in set(paths) if paths.count(path) > 1 and not AGAIN.search(path)] == []


def by_pythons_open(calls: list[Call]) -> list[str]:
    """Return the lines of opened files about which the next two calls ask: their size, and if they are a terminal."""
    found = []
    for opened, size, terminal in zip(calls, calls[1:], calls[2:], strict=False):
        if opened.name == "openat" and size.name in ("newfstatat", "fstat") and terminal.name == "ioctl":
            found += [opened.line] * terminal.line.startswith(f"ioctl({opened.answer}, TCGETS")
    return found


def test_no_file_is_opened_by_pythons_open(run: Run) -> None:
    """open() of Python makes five more calls: of each file it asks for the size, and whether it is a terminal."""
    assert by_pythons_open(run.caller) + by_pythons_open(run.child) == []


def test_pythons_open_would_be_found(tmp_path: Path) -> None:
    """The guard works: open() of one file, under strace, is found by these questions."""
    log = tmp_path / "log"
    script = "import os; os.access('@begin', 0); open('/proc/self/stat').read()"
    command = [strace.strace(), "-o", str(log), sys.executable, "-c", script]
    subprocess.run(command, check=True, capture_output=True, timeout=TIMEOUT)
    assert len(by_pythons_open(strace.calls_of(log.read_text().partition('"@begin"')[2]))) == 1
