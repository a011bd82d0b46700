"""Health checks run in the box's control groups, within its limits, and with a least pause between them."""

from __future__ import annotations

import itertools
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.boxes import children, command_line_of, lives, one_line, until
from tests.support.detached_boxes import FOREVER, Life, life
from tests.support.slowness import SLOWNESS
from tinybox.container.monitor.health import LEAST_PAUSE

if TYPE_CHECKING:
    from tests.conftest import Command

pytestmark = pytest.mark.root

LIMITS = ("-m", "64m", "--cpus", "0.5", "--pids-limit", "30")


def log_of(it: Life) -> list[dict[str, Any]]:
    """Return the last checks of a box."""
    found: list[dict[str, Any]] = (it.state.get("health") or {}).get("Log", [])
    return found


def groups(pid: int) -> set[str]:
    """Return the lines of /proc/PID/cgroup."""
    return set(Path(f"/proc/{pid}/cgroup").read_text().splitlines())


def test_a_check_is_in_the_box_s_control_groups(tinybox: Command) -> None:
    """The monitor's child that runs a check is in every group of the box's first process."""
    options = ("--health-cmd", "sleep 900", "--health-interval", "100ms", *LIMITS)
    with life(tinybox, *options, "busybox", *FOREVER) as it:
        monitor, first = it.monitor, it.pid
        until(lambda: any(command_line_of(child).startswith("tinybox:check") for child in children(monitor)))
        check = next(child for child in children(monitor) if child != first)
        until(lambda: any(command_line_of(child) == "sleep 900" for child in children(check)))
        assert groups(check) == groups(first)
        assert sum(it.id in line for line in groups(check)) >= 1
        assert groups(check) != groups(monitor)  # the control
        assert tinybox("stop", "-t", "0", it.name).returncode == 0
        assert not lives(check)


def test_checks_have_a_least_pause(tinybox: Command) -> None:
    """An interval of 1ns is docker's error; 1ms is accepted, with tinybox's own least pause between two checks."""
    words = ("run", "--rm", "--health-cmd", "true", "--health-interval", "1ns", "busybox", "true")
    one_line(tinybox(*words), 125, "Interval in Healthcheck cannot be less than 1ms")
    with life(tinybox, "--health-cmd", "true", "--health-interval", "1ms", "busybox", *FOREVER) as it:
        until(lambda: len(log_of(it)) == 5)
        log = log_of(it)
        pauses = [(later["Start"] - sooner["End"]) / 1e9 for sooner, later in itertools.pairwise(log)]
        assert min(pauses) >= 0.9 * LEAST_PAUSE, pauses


def test_a_box_without_room_for_a_check_is_unhealthy_and_runs_on(tinybox: Command) -> None:
    """At the box's limit of processes a check cannot begin: that is its result, and the box goes on."""
    options = ("--health-cmd", "true", "--health-interval", "100ms", "--health-retries", "2", "--pids-limit", "10")
    with life(tinybox, *options, "busybox", "sh", "-c", "sleep 900 & " * 8 + "wait") as it:
        until(lambda: len(log_of(it)) >= 2 and log_of(it)[-1]["ExitCode"] != 0)
        until(lambda: it.state["health"]["Status"] == "unhealthy")
        assert "temporarily unavailable" in log_of(it)[-1]["Output"], json.dumps(log_of(it))
        assert it.state["status"] == "running"
        assert lives(it.pid)


def test_a_paused_box_is_not_checked(tinybox: Command) -> None:
    """While the box is frozen there are no checks and no failures, as with docker; then they go on."""
    with life(tinybox, "--health-cmd", "true", "--health-interval", "100ms", "busybox", *FOREVER) as it:
        until(lambda: log_of(it))
        assert tinybox("pause", it.name).returncode == 0
        time.sleep(0.3 * SLOWNESS)
        before = log_of(it)[-1]["Start"]
        time.sleep(0.5)
        assert log_of(it)[-1]["Start"] == before
        assert tinybox("unpause", it.name).returncode == 0
        until(lambda: log_of(it)[-1]["Start"] > before)
        assert it.state["health"]["FailingStreak"] == 0
