"""`tinybox replay`: a recorded run is shown again, without root; with --step a person goes through it by keys."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.cli.test_no_root import as_nobody
from tests.support.boxes import one_line
from tests.support.screens import Screen, screen

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Command

pytestmark = pytest.mark.root

KEYS = "Enter: next step   k: next key step   i: inspect   c: continue   q: leave\r\n"


@pytest.fixture
def trace(tinybox: Command, tmp_path: Path) -> str:
    """Record a run."""
    path = tmp_path / "trace.json"
    done = tinybox("run", "--rm", "--network", "none", "--explain=json", "-o", str(path), "busybox", "true")
    assert (done.returncode, done.stderr) == (0, "")
    return str(path)


def shown(text: str) -> list[str]:
    """Return the names of the steps in *text*."""
    return re.findall(r"^ *\d+ (?:host|box) +(\S+):", text, re.MULTILINE)


def next_step(seen: Screen) -> str:
    """Wait for the next stop and return the name of the step before it."""
    before = seen.wait_for(KEYS)
    found = re.findall(r"next: step \d+, (?:host|box), (\S+):", before)
    assert len(found) == 1, before
    return str(found[0])


def test_a_user_without_root_sees_root_s_run(tinybox: Command, trace: str) -> None:
    """The user nobody, who could not run the box, sees every step of it, as root does."""
    done = as_nobody(tinybox, "replay", trace)
    assert (done.returncode, done.stderr) == (0, ""), done
    assert {"clone", "pivot", "program"} <= set(shown(done.stdout))
    assert done.stdout == tinybox("replay", trace).stdout
    one_line(as_nobody(tinybox, "run", "--rm", "busybox", "true"), 125, "needs root")  # the control


def test_each_enter_shows_one_step(tinybox: Command, trace: str) -> None:
    """--step stops before the first step; Enter shows it, i the state, c the rest; the terminal is restored."""
    tinybox.environment["NO_COLOR"] = "1"
    with screen(tinybox, "replay", "--step", trace, columns=120) as seen:
        assert next_step(seen) == "cgroup"
        seen.type("\n")
        second = seen.wait_for(KEYS)
        assert shown(second.replace("\r", "")) == ["cgroup"]
        seen.type("i")
        assert "there is no child yet" in seen.wait_for(KEYS)
        seen.type("c")
        assert seen.status() == 0
        assert "the program ended with status 0" in seen.shown
        assert "next: step" not in seen.shown
        assert seen.mode()[3] == seen.former[3]


def test_q_leaves_before_the_step(tinybox: Command, trace: str) -> None:
    """The status is that of Ctrl-C, and no step was shown."""
    with screen(tinybox, "replay", "--step", trace, columns=120) as seen:
        next_step(seen)
        seen.type("q")
        assert seen.status() == 130
        assert not shown(seen.shown)


def test_step_needs_a_terminal(tinybox: Command, trace: str) -> None:
    """Without a terminal there is no key to wait for: one line reports that."""
    one_line(tinybox("replay", "--step", trace), 1, "--step", "terminal")
