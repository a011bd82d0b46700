"""Without root: commands that need it report that in one line; help, the list of images and the plan work."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.boxes import one_line
from tests.support.slowness import SLOWNESS

if TYPE_CHECKING:
    from tests.conftest import Command

pytestmark = pytest.mark.root

NOBODY = 65534


def as_nobody(tinybox: Command, *words: str) -> subprocess.CompletedProcess[str]:
    """Run ``tinybox WORDS`` as nobody, with the right to read any file: so it does not matter where this Python lies.

    CAP_DAC_READ_SEARCH is the only right, kept as an ambient one; see setpriv(1) and capabilities(7).
    """
    rights = ["--inh-caps", "-all,+dac_read_search", "--ambient-caps", "-all,+dac_read_search"]
    who = ["setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups", *rights, "--"]
    environment = {**tinybox.environment, "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run([*who, tinybox.path, *words], env=environment, capture_output=True, text=True, check=False,
                          timeout=120 * SLOWNESS, stdin=subprocess.DEVNULL)  # fmt: skip


@pytest.mark.parametrize("words", ["run busybox true", "import /etc/passwd x", "pull busybox", "rmi busybox"])
def test_commands_that_need_root(tinybox: Command, words: str) -> None:
    """Docker's status, one line with the cure, and nothing has changed."""
    one_line(as_nobody(tinybox, *words.split()), 125 if words.startswith("run") else 1, "needs root", "sudo")
    assert tinybox("images", "-q", "busybox").stdout.strip()


def test_commands_that_need_no_root(tinybox: Command) -> None:
    """--help, --version, the list of images."""
    for words in ("--help", "run --help", "--version", "images"):
        before, done, after = tinybox(*words.split()), as_nobody(tinybox, *words.split()), tinybox(*words.split())
        assert (done.returncode, done.stderr) == (0, ""), words
        assert done.stdout in (before.stdout, after.stdout)  # an image may have become a minute older between the calls


@pytest.mark.parametrize("options", ["", "-m 32m --cpus 0.5 --userns private -t --read-only --tmpfs /x -v /tmp:/y"])
def test_the_plan_is_printed_and_not_carried_out(tinybox: Command, options: str) -> None:
    """--dry-run prints every step with its manual page, the same for nobody as for root; nothing is made."""
    words = ("run", "--dry-run", *options.split(), "busybox", "true")
    ours = tinybox(*words)  # it may keep a compiled seccomp profile, as every command does
    before = sorted(str(path) for path in Path(tinybox.root).rglob("*"))
    assert tinybox(*words).returncode == 0
    nobodys = as_nobody(tinybox, *words)
    assert sorted(str(path) for path in Path(tinybox.root).rglob("*")) == before
    assert (nobodys.returncode, nobodys.stderr) == (0, "")
    assert not re.search(r"[0-9a-f]{13}", nobodys.stdout)  # ids are short, as in the output of --explain
    lines = nobodys.stdout.splitlines()
    assert [line for line in lines if not re.search(r"\S  \[[^][]*\w\(\d\w*\)[^][]*\]$", line)] == []
    names = [line.split()[2] for line in lines]
    assert [line.split()[2] for line in ours.stdout.splitlines()] == names
    assert {line.split()[1] for line in lines} == {"host", "box"}  # as in the output of --explain
    for name in ("cgroup", "clone", "root", "mount/proc", "pivot", "capabilities", "program"):
        assert name in names
    assert ("limit-memory.max" in names or "limit-memory.limit_in_bytes" in names) == bool(options)
    assert ("terminal" in names, "readonly-root" in names, "id-maps" in names) == (bool(options),) * 3
    assert names.index("clone") < names.index("root") < names.index("pivot") < names.index("program")


def test_readme_has_the_numbers_of_the_steps(tinybox: Command) -> None:
    """The steps that README.md shows of `run --explain` have the numbers, sides and sentences that the plan has."""
    plan = tinybox("run", "--rm", "--dry-run", "--network", "bridge", "alpine", "true").stdout.splitlines()
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    for name in ("clone", "pivot"):
        line = next(line for line in plan if line.split()[2] == name)
        number, side, _, sentence = line.partition("  [")[0].split(maxsplit=3)
        assert f"\n{number:>3} {side:4} {name}: {sentence}\n" in readme


def test_a_plan_that_cannot_be_is_an_error(tinybox: Command) -> None:
    """--dry-run also finds wrong options."""
    one_line(as_nobody(tinybox, "run", "--dry-run", "-m", "12Q", "busybox", "true"), 125, "--memory 12Q")
    one_line(as_nobody(tinybox, "run", "--dry-run", "nobodys-image", "true"), 125, "nobodys-image")
    assert os.geteuid() == 0
