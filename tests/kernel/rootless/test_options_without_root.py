"""Options of `run` do the same without root: each is asked for, and the box says what it has."""

from __future__ import annotations

import json
import time

import pytest

from tests.support.boxes import PATIENCE, one_line
from tests.support.student import Student, student
from tinybox.linux.waiting import until

__all__ = ["student"]

pytestmark = [pytest.mark.root, pytest.mark.rootless]
SAME = [
    ("-e COLOUR=red", "echo $COLOUR", "red"),
    ("-h named", "hostname", "named"),
    ("-w /tmp", "pwd", "/tmp"),
    ("-u 5:7", "id -u; id -g", "5\n7"),
    ("--group-add 9", "id -G", "0 9"),
    ("--read-only", "touch /new 2>/dev/null || echo refused", "refused"),
    ("--tmpfs /scratch:size=1m", "df -m /scratch | tail -n 1 | tr -s ' ' | cut -d ' ' -f 2", "1"),
    ("--shm-size 2m", "df -m /dev/shm | tail -n 1 | tr -s ' ' | cut -d ' ' -f 2", "2"),
    ("--ulimit nofile=99", "ulimit -n", "99"),
    ("--cap-drop ALL", "grep CapEff /proc/self/status | tail -c 17", "0000000000000000"),
    ("--security-opt no-new-privileges", "grep NoNewPrivs /proc/self/status | tail -c 2", "1"),
    ("", "grep Seccomp: /proc/self/status | tail -c 2", "2"),
    ("--sysctl kernel.msgmax=4096", "cat /proc/sys/kernel/msgmax", "4096"),
    ("--add-host there:10.1.2.3", "grep there /etc/hosts | cut -f 1", "10.1.2.3"),
    ("--init", "cat /proc/1/comm", "tinybox:init"),
    ("--uts host", 'test "$(hostname)" = "$(cat /proc/sys/kernel/hostname)" && echo same', "same"),
    ("--network none", "ls /sys/class/net", "lo"),
    ("--mount type=volume,target=/kept", "stat -c %u:%a /kept", "0:755"),
    ("--privileged", "mount -t tmpfs tmpfs /mnt && echo mounted", "mounted"),
]  # fmt: skip


@pytest.mark.parametrize(("options", "look", "expected"), SAME, ids=[row[0] or "seccomp" for row in SAME])
def test_the_option_does_the_same(student: Student, options: str, look: str, expected: str) -> None:
    """The program sees the value that was asked for; a box without the option, the control, does not."""
    assert student.says("run", "--rm", *options.split(), "busybox", "sh", "-c", look) == expected


def test_without_options_the_values_are_others(student: Student) -> None:
    """The control of the tests above: no option, and none of the values, except those that are defaults."""
    looks = {look: expected for options, look, expected in SAME if options and options not in DEFAULTS}
    script = "; echo ---; ".join(f"({look})" for look in looks)
    found = student("run", "--rm", "busybox", "sh", "-c", script).stdout.split("---\n")
    assert len(found) == len(looks)
    assert [look for look, value in zip(looks, found, strict=True) if value.strip() == looks[look]] == []


DEFAULTS = ("--network none", "--init", "--uts host")  # the tests' network, tinybox's init; and a name is always shown


def test_statuses_are_those_of_docker(student: Student) -> None:
    """The program's status; 127 and 126 for one that cannot be run; 125 for an unknown option; one line each."""
    assert student("run", "--rm", "busybox", "sh", "-c", "exit 42").returncode == 42
    one_line(student("run", "--rm", "busybox", "no-such-program"), 127, "no-such-program")
    one_line(student("run", "--rm", "busybox", "/etc"), 126, "/etc")
    assert student("run", "--no-such-option", "busybox").returncode == 125
    killed = student("run", "--rm", "busybox", "sh", "-c", "kill -9 $$")
    assert killed.returncode == 137


def test_a_restart_policy_and_a_health_check_work(student: Student) -> None:
    """The monitor starts a box again that fails, three times, and records what the health check says."""
    student.says("run", "-d", "--name", "fails", "--restart", "on-failure:2", "busybox", "false")
    assert student.says("wait", "fails") == "1"
    assert json.loads(student.says("inspect", "fails"))[0]["RestartCount"] == 2
    check = ("--health-cmd", "true", "--health-interval", "100ms")
    student.says("run", "-d", "--name", "well", *check, "busybox", "sleep", "1000")
    assert until(lambda: health(student, "well") == "healthy", time.monotonic() + PATIENCE, 0.05)
    student.says("rm", "-f", "fails", "well")


def health(student: Student, name: str) -> str:
    """Return what the health check of a box says."""
    state: dict[str, dict[str, str]] = json.loads(student.says("inspect", name))[0]["State"]
    return state["Health"]["Status"]
