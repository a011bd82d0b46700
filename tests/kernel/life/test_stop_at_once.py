"""`stop` of several containers stops all of them at the same time, as docker's client does."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from tests.support.boxes import lives, until
from tests.support.detached_boxes import FOREVER, life, stdout_of

if TYPE_CHECKING:
    from tests.conftest import Command

pytestmark = pytest.mark.root

STUBBORN = ("busybox", "sh", "-c", "trap '' TERM; sleep 1000")


def test_a_container_that_does_not_end_delays_no_other(tinybox: Command) -> None:
    """The first container ignores the stop signal, and is given any time; the second one ends meanwhile."""
    with life(tinybox, *STUBBORN) as first, life(tinybox, "busybox", *FOREVER) as second:
        pid = first.pid
        with tinybox.start("stop", "-t", "-1", first.name, "nothing-of-this-name", second.name) as stopping:
            until(second.rests)
            assert lives(pid)
            assert stopping.poll() is None
            os.kill(pid, signal.SIGKILL)
            out, err = stopping.communicate(timeout=60)
        assert (stopping.returncode, out) == (1, f"{first.name}\n{second.name}\n")
        assert err.count("\n") == err.count("no such container") == 1


def test_ctrl_c_ends_the_command_and_not_the_containers(tinybox: Command) -> None:
    """The threads that wait do not keep the command."""
    with life(tinybox, *STUBBORN) as first, life(tinybox, *STUBBORN) as second:
        with tinybox.start("stop", "-t", "-1", first.name, second.name) as stopping:
            until(lambda: len(os.listdir(f"/proc/{stopping.pid}/task")) == 3)
            os.kill(stopping.pid, signal.SIGINT)
            assert stopping.wait(60) == 130
        assert lives(first.pid)
        assert lives(second.pid)
        assert stdout_of(tinybox, "kill", first.name, second.name) == f"{first.name}\n{second.name}\n"
