"""kill -9 at any step of a box with a network: the next command leaves no link, address, rule, port or lease of it."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from tests.kernel.lives import life, murder, nothing_is_left, said
from tests.kernel.networks import addresses, bridged, everything, same_as
from tests.kernel.test_faults import faulty
from tests.slowness import SLOWNESS

if TYPE_CHECKING:
    from tests.conftest import Command

__all__ = ["bridged"]
pytestmark = [pytest.mark.root, pytest.mark.slow]

RUN = ("run", "--rm", "-p", "8080:80", "busybox", "sleep", "0.05")
OWN = ("ports", "addresses", "names", "network", "await-network")


def test_the_plan_has_the_steps_of_networks(bridged: Command) -> None:
    """They are among the parent's, in this order; with --network none there are none of them."""
    lines = said(bridged, "run", "--dry-run", "-p", "80", "busybox", "true").splitlines()
    assert tuple(line.split()[2] for line in lines if line.split()[2] in OWN) == OWN
    alone = said(bridged, "run", "--dry-run", "--network", "none", "busybox", "true").splitlines()
    assert not {line.split()[2] for line in alone} & set(OWN)


def test_kill_behind_each_step(bridged: Command) -> None:
    """Killed behind any of the parent's steps: the box ends, and the next command takes back what it had."""
    before = everything()
    for event in [*(f"step:{name}" for name in (*OWN, "clone", "await")), "state:created", "state:running"]:
        with faulty(bridged, "kill-at", event, *RUN) as process:
            process.communicate(timeout=20 * SLOWNESS)
        assert process.returncode == -signal.SIGKILL, event
        nothing_is_left(bridged)
        same_as(before)


def test_kill_at_any_call_to_the_system(bridged: Command) -> None:
    """Killed at its n-th call, in the midst of giving back as well: the next command leaves nothing."""
    before, killed = everything(), 0
    for count in range(60, 2000, 1 if os.environ.get("TINYBOX_SOAK") else 23):
        with faulty(bridged, "kill-at", str(count), *RUN) as process:
            process.communicate(timeout=20 * SLOWNESS)
        nothing_is_left(bridged)
        same_as(before)
        if process.returncode == 0:
            break
        killed += 1
    assert killed > 5


def test_a_step_that_fails_is_undone(bridged: Command) -> None:
    """An error in any of these steps is one line, status 125, and the host is as it was, at once."""
    before = everything()
    for name in OWN:
        with faulty(bridged, "fail-at", name, *RUN) as process:
            _, told = process.communicate(timeout=20 * SLOWNESS)
        assert (process.returncode, len(told.splitlines())) == (125, 1), (name, told)
        same_as(before)


def test_a_monitor_is_killed(bridged: Command) -> None:
    """The box of a killed monitor ends; its address and port are free behind the next command; it can start again."""
    before = everything()
    with life(bridged, "-p", "8080:80", "busybox", "sleep", "600") as box:
        assert len(addresses(box)) == 1
        murder(box.monitor)
        bridged("images")
        same_as(before)
        said(bridged, "start", box.name)
        assert len(addresses(box)) == 1
    same_as(before)
