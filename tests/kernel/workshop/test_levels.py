"""Every level: its solution passes, its skeleton and plausible wrong programs do not, and a sentence says why not."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from tests.kernel.workshop.wrong_programs import WRONG
from tinybox.errors import TinyboxError
from tinybox.workshop import levels, spare_host
from tinybox.workshop.trial import mounts

if TYPE_CHECKING:
    from tinybox.workshop.trial import Trial

pytestmark = pytest.mark.root

NUMBERS = range(1, len(levels.ORDER) + 1)


@pytest.mark.parametrize("number", [number for number in NUMBERS if levels.named(number) != "cgroup"])
def test_the_solution_passes(number: int, rootfs: str) -> None:
    """The solution of a level passes, and each fact is a sentence of its own; test_spare_groups.py has level 9."""
    verdict = levels.check(number, levels.solution(number), rootfs)
    assert verdict.missing == ""
    assert len(verdict.seen) > 5
    assert len(set(verdict.seen)) == len(verdict.seen)


@pytest.mark.parametrize("number", NUMBERS)
def test_the_skeleton_does_not_pass(number: int, rootfs: str) -> None:
    """The student's file, as it is laid out, is told what its first part has to do."""
    missing = levels.check(number, levels.skeleton(number), rootfs).missing
    assert missing == f"part 1 is not written yet: {levels.tasks(number)['1']}"


@pytest.mark.parametrize(
    ("number", "written", "next_part"), [(1, 1, "2"), (1, 2, "4"), (7, 1, "2"), (7, 2, "3"), (9, 2, "3")]
)
def test_a_half_written_program_is_told_its_next_part(number: int, written: int, next_part: str, rootfs: str) -> None:
    """Also if parent and child each miss a part, or the box ends under the check, the first part missed is named."""
    parts = levels.PART.sub(
        lambda part: part[0] if int(part[2]) <= written else f'{part[1]}raise NotImplementedError("part {part[2]}")\n',
        levels.source(number),
    )
    missing = levels.check(number, parts, rootfs).missing
    assert missing.startswith(f"part {next_part} is not written yet: ")


@pytest.mark.parametrize(("number", "old", "new", "sentence"), WRONG)
def test_a_wrong_program_does_not_pass(number: int, old: str, new: str, sentence: str, rootfs: str) -> None:
    """A plausible wrong program is refused, with the one fact of the kernel that shows the mistake."""
    program = levels.solution(number)
    assert program.count(old) == 1
    assert sentence in levels.check(number, program.replace(old, new), rootfs).missing


@pytest.mark.parametrize("number", NUMBERS)
def test_a_level_has_three_wrong_programs(number: int) -> None:
    """At least three wrong programs of each level are tried above."""
    assert sum(each[0] == number for each in WRONG) >= 3


def test_a_program_of_root_does_not_reach_the_host(rootfs: str, tmp_path: Path) -> None:
    """A program that renames the host, writes files and mounts as root changes the spare host, not this one."""
    file = tmp_path / "file"
    file.write_text("before")
    before = socket.gethostname(), Path("/proc/self/mountinfo").read_text(), os.listdir(rootfs)

    def harm() -> list[str]:
        errors = []
        for act in (lambda: socket.sethostname("spare"), lambda: file.write_text("after"),
                    lambda: Path("/mnt/rootfs/new").write_text(""), lambda: os.mkdir("/etc/new")):  # fmt: skip
            try:
                act()
            except OSError as error:
                errors.append(error.strerror or "")
        return [socket.gethostname(), *errors]

    assert spare_host.visit(harm, "", rootfs) == ["spare", "Read-only file system", "Read-only file system"]
    assert (socket.gethostname(), Path("/proc/self/mountinfo").read_text(), os.listdir(rootfs)) == before
    assert file.read_text() == "before"


def test_a_program_may_print_more_than_a_pipe_holds(rootfs: str) -> None:
    """What it prints before the shell and after it is read, so a right program ends, and passes."""
    program = levels.solution(1).replace("child = os.fork()", "print('x' * 300_000, flush=True); child = os.fork()")
    program = program.replace("    return os.W", "    print('y' * 300_000)\n    return os.W")
    assert program.count("300_000") == 2
    assert levels.check(1, program, rootfs).missing == ""


def test_the_directory_of_the_program_has_a_limit(rootfs: str) -> None:
    """A program that writes without end, to its stderr for example, fills this directory, not the host's memory."""

    def size() -> int:
        found = os.statvfs(spare_host.PLACE)
        return found.f_blocks * found.f_frsize

    assert spare_host.visit(size, "", rootfs) == 256 << 20


def test_a_check_that_takes_too_long_is_ended(rootfs: str) -> None:
    """A check ends at its deadline with one line, and all of its processes end with it; a short one does not."""

    def wait() -> None:
        if os.fork() == 0:
            os.execvp("sleep", ["sleep", "1000"])
        os.waitpid(-1, 0)

    with pytest.raises(TinyboxError, match="the check took more than 0 s"):
        spare_host.visit(wait, "", rootfs, seconds=0.3)
    assert spare_host.visit(lambda: 1, "", rootfs, seconds=50) == 1


def test_a_process_that_has_ended_under_the_check_is_a_verdict(rootfs: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The student is told which file of /proc was read then; a zombie has no mountinfo any more."""

    def check(_: Trial) -> None:
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        mounts(pid)

    monkeypatch.setattr(levels, "load", lambda _: SimpleNamespace(check=check))
    missing = levels.check(1, levels.solution(1), rootfs).missing
    assert re.fullmatch(
        r"a process of the box has ended while the check read /proc/\d+/mountinfo: see proc\(5\)", missing
    )
