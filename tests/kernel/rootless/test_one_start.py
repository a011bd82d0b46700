"""Without root, a plain `run` enters the home and goes on, without a second start of Python; see cli/rootless.py."""

from __future__ import annotations

import os
import re
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from tests.support.boxes import PATIENCE
from tests.support.student import Student, student
from tinybox.linux.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["student"]

pytestmark = [pytest.mark.root, pytest.mark.rootless]
PLAIN = ("run", "--rm", "--network", "none", "--name", "plain", "busybox", "sleep", "1000")


@pytest.fixture
def plain(student: Student) -> Iterator[subprocess.Popen[str]]:
    """Give the process of a plain `run` whose box runs."""
    with student.start(*PLAIN) as process:
        is_up = lambda: student("inspect", "-f", "{{.State.Running}}", "plain").stdout.strip() == "true"  # noqa: E731
        assert until(is_up, time.monotonic() + PATIENCE, 0.05)
        yield process
        process.kill()
    assert until(lambda: not student.processes(), time.monotonic() + PATIENCE, 0.01)


def program_of(student: Student, name: str) -> str:
    """Return the program of PID 1 of the box *name*, as root of the host sees it."""
    pid = student.says("inspect", "-f", "{{.State.Pid}}", name)
    return os.readlink(f"/proc/{pid}/exe")


def test_other_commands_reach_the_box(student: Student, plain: subprocess.Popen[str]) -> None:
    """PID 1 has executed a program of the home: so exec, cp, top and stats of other commands work, in the same home."""
    assert "memfd:tinybox:init" in program_of(student, "plain")
    assert student.says("exec", "plain", "cat", "/proc/1/comm") == "tinybox:init"
    student.says("exec", "plain", "sh", "-c", "echo in > /tmp/made")
    assert student.says("cp", "plain:/tmp/made", "-")
    assert "sleep" in student.says("top", "plain")
    namespaces = {os.readlink(f"/proc/{pid}/ns/user") for pid in student.processes()}
    assert namespaces == {os.readlink(f"/proc/{plain.pid}/ns/user")}  # the command itself is in the home
    assert student.says("run", "--rm", "busybox", "id", "-u") == "0"  # a second one joins it
    assert student.says("kill", "plain") == "plain"
    assert plain.wait(30) == 137


def test_python_starts_once(student: Student) -> None:
    """A plain `run` executes one Python; the control, `run` with an IPC namespace of the host, executes two."""
    started = {}
    for kind, options in (("plain", ()), ("other", ("--ipc", "host"))):
        words = student.words(student.path, "run", "--rm", *options, "busybox", "true")
        trace = ["strace", "-f", "-qq", "-e", "trace=execve", "-e", "signal=none", *words]
        done = subprocess.run(trace, env=student.environment, cwd="/", check=True, capture_output=True, text=True)
        started[kind] = len(re.findall(r'execve\("[^"]*/(?:tinybox|python[^"]*)", .* = 0$', done.stderr, re.MULTILINE))
    assert started == {"plain": 1, "other": 2}


def test_a_missing_image_is_brought_by_a_second_start(student: Student) -> None:
    """An image is made in the home's own memory, as by other commands; without an image, one line says so."""
    done = student("run", "--rm", "--network", "none", "--pull", "missing", "localhost:1/none", "true")
    assert (done.returncode, done.stderr.count("\n")) == (125, 2), done
