"""`tinybox lab run` before an audience: predictions, a lab that is held, its control, a lecture, labs of one's own."""

from __future__ import annotations

import os
import re
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.boxes import PATIENCE
from tinybox.lab import card, course, lectures, own_folders
from tinybox.linux.waiting import until

if TYPE_CHECKING:
    from tests.conftest import Command
    from tinybox.lab.course import Result
    from tinybox.lab.guest import Guest

pytestmark = pytest.mark.root

SOURCE = re.compile(r"^  from (/proc/\d+/status)", re.MULTILINE)


def test_a_held_lab_can_be_looked_at(tinybox: Command) -> None:
    """With --hold the sources of the evidence can be read after the verdict, and `ps` lists the box, until Enter."""
    with tinybox.start("lab", "run", "--hold", "zombie", stdin=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        shown = ""
        while "gone at once" not in shown:  # the end of the answer, below the verdict
            line = process.stdout.readline()
            assert line, process.communicate()
            shown += line
        (source,) = SOURCE.findall(shown)
        assert "State:\tZ (zombie)" in Path(source).read_text()
        (name,) = tinybox("ps", "--format", "{{.Names}}").stdout.split()
        inner = tinybox("exec", name, "sh", "-c", "grep -l '^State:.Z' /proc/[0-9]*/status")
        assert len(inner.stdout.split()) == 5
        _, told = process.communicate("\n", 60)
        assert f"box {name}: on the host its PID 1 is " in told
        assert process.returncode == 0
    assert not Path(source).exists()
    assert tinybox("ps", "-q").stdout == ""


@pytest.mark.parametrize("name", ["fd", "daemon", "deadlock", "sigchld", "pid", "argv"])
def test_the_sources_of_a_held_lab(name: str, tinybox: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file of a process that the host's evidence names is there while the lab is held, and not afterwards."""
    monkeypatch.setenv("TINYBOX_ROOT", tinybox.root)
    seen: dict[str, bool] = {}

    def held(result: Result, living: list[Guest]) -> None:
        assert result.verdict == course.PASS, result
        assert living
        sources = " ".join(each.source for each in result.evidence if each.side == "host")
        seen.update({path: os.path.exists(path) for path in re.findall(r"/proc/\d+/\w+", sources)})

    course.conduct(course.load(name), held=held)
    assert set(seen.values()) == {True}, seen
    assert not any(map(os.path.exists, seen))


def test_a_held_lab_that_is_killed_leaves_no_process(tinybox: Command) -> None:
    """After kill -9 of the lab its box ends by itself, and the next command removes what is left of it."""
    with tinybox.start("lab", "run", "--hold", "zombie", stdin=subprocess.PIPE) as process:
        assert process.stdout is not None
        shown = ""
        while not (found := SOURCE.findall(shown)):
            shown += process.stdout.readline()
        process.kill()
    assert until(lambda: not os.path.exists(found[0]), time.monotonic() + PATIENCE, 0.01)
    assert tinybox("ps", "-aq").stdout == ""


def test_a_lab_without_hold_is_gone(tinybox: Command) -> None:
    """The control: without --hold the process of the evidence has ended when the lab has."""
    (source,) = SOURCE.findall(tinybox("lab", "run", "zombie").stdout)
    assert not Path(source).exists()


def test_a_prediction_is_kept(tinybox: Command, tmp_path: Path) -> None:
    """--step asks before the figures and the answer, shows the words beside the answer, and writes them to the page."""
    page = tmp_path / "pid.md"
    done = tinybox("lab", "run", "--step", "--markdown", str(page), "pid", text="a *one* | <b>\x1b[31m\n")
    assert "What do you expect? [Enter]" in done.stderr
    assert done.stdout.index("NSpid") < done.stdout.index("You said: a *one*") < done.stdout.index("Answer:")
    assert "\x1b" not in done.stdout + page.read_text()
    assert "**My prediction:** a \\*one\\* \\| \\<b\\>" in page.read_text()


def test_a_control_says_that_it_is_one(tinybox: Command, tmp_path: Path) -> None:
    """--control names what was taken away before the figures, and says below the verdict that the claim had to fail."""
    page = tmp_path / "pid.md"
    shown = " ".join(tinybox("lab", "run", "--control", "--markdown", str(page), "pid").stdout.split())
    taken = course.load("pid").control
    assert shown.index(taken) < shown.index(card.IS_CONTROL) < shown.index("HOST") < shown.index("FAIL: not true")
    assert "without the feature a claim fails, as it must" in shown
    assert card.IS_CONTROL in page.read_text()
    plain = " ".join(tinybox("lab", "run", "pid").stdout.split())
    assert card.IS_CONTROL not in plain
    assert "as it must" not in plain


def test_the_labs_of_a_lecture(tinybox: Command) -> None:
    """--lecture runs the labs that the lecture shows, in its order; a number that is none is one line."""
    done = tinybox("lab", "run", "--lecture", "7")
    titles = re.findall(r"^([\w-]+): .*\n====", done.stdout, re.MULTILINE)
    assert titles == lectures.LECTURES[6].labs
    assert done.returncode == 0
    wrong = tinybox("lab", "run", "--lecture", "99")
    assert wrong.stderr.startswith("tinybox: lecture 99: there is no such lecture (1 to ")
    assert (
        tinybox("lab", "run").stderr == "tinybox: lab run: no lab is named (tinybox lab list; `all` runs every lab)\n"
    )


def test_a_typo_makes_no_image(tinybox: Command, tmp_path: Path) -> None:
    """A wrong name is known before the image is made: the store stays empty."""
    empty = tmp_path / "store"
    done = tinybox("--root", str(empty), "lab", "run", "zombi")
    assert done.stderr == "tinybox: lab zombi: there is no such lab (did you mean zombie? tinybox lab list)\n"
    assert not (empty / "images").exists()


def test_a_lab_of_ones_own(tinybox: Command, tmp_path: Path) -> None:
    """`lab new` writes a lab that passes its check; --lab-dir and TINYBOX_LABS find it, also beside others."""
    made = tinybox("lab", "new", "--lab-dir", str(tmp_path), "my-own")
    assert made.stdout.splitlines()[0] == str(tmp_path / "my_own.py")
    checked = tinybox("lab", "check", "--lab-dir", str(tmp_path), "my-own")
    assert (checked.returncode, checked.stderr) == (0, "")
    assert "1 lab: 1 PASS" in checked.stdout
    again = tinybox("lab", "new", "--lab-dir", str(tmp_path), "my-own")
    assert again.stderr == "tinybox: lab my-own: there is a lab of that name (choose another name)\n"
    tinybox.environment = {**tinybox.environment, own_folders.VARIABLE: str(tmp_path)}
    listed = tinybox("lab", "list").stdout
    assert listed.splitlines()[-2:-1] == ["Your own"]
    assert listed.splitlines()[-1].startswith("  my-own ")
    tinybox.environment.pop(own_folders.VARIABLE)
    assert "no such lab" in tinybox("lab", "show", "my-own").stderr
