"""A monitor that has no free descriptors watches its container to the end, whatever else it cannot do meanwhile."""

from __future__ import annotations

import os
import resource
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.support.boxes import until
from tests.support.detached_boxes import life
from tinybox.container.monitor import attach_protocol

if TYPE_CHECKING:
    from tests.conftest import Command

pytestmark = pytest.mark.root

CHECKED = ("--health-cmd", "true", "--health-interval", "100ms")
SCRIPT = "until test -e /go; do echo line; sleep 0.02; done; exit 5"


def test_a_check_without_a_free_descriptor_is_put_off(tinybox: Command) -> None:
    """The monitor cannot make a check's pipe: the container lives, and is checked again when there are descriptors."""
    with life(tinybox, *CHECKED, "busybox", "sh", "-c", SCRIPT) as it:
        until(lambda: it.shown("{{.State.Health.Status}}") == "healthy")
        resource.prlimit(it.monitor, resource.RLIMIT_NOFILE, (8, 1024))  # enough for poll(2), which counts its fds
        until(lambda: "Too many open files" in it.shown("{{json .State.Health.Log}}"))
        resource.prlimit(it.monitor, resource.RLIMIT_NOFILE, (1024, 1024))
        checked = it.state["health"]["Log"][-1]
        until(lambda: it.state["health"]["Log"][-1] != checked and it.state["health"]["Log"][-1]["ExitCode"] == 0)
        it.inside("touch /go")
        assert it.ended()["exitCode"] == 5


def test_clients_do_not_take_the_last_descriptors(tinybox: Command) -> None:
    """Of fifty clients most wait: there is room for the health checks and for the end, whose status is known."""
    with life(tinybox, *CHECKED, "busybox", "sh", "-c", SCRIPT) as it, ExitStack() as stack:
        highest = max(int(fd) for fd in os.listdir(f"/proc/{it.monitor}/fd"))
        resource.prlimit(it.monitor, resource.RLIMIT_NOFILE, (highest + 30, 1024))
        for _ in range(50):
            stack.callback(attach_protocol.connect(str(it.root / "run" / it.id)).close)
        before = it.state["health"]["Log"][-1:]
        until(lambda: it.state["health"]["Log"][-1:] != before)
        assert "cannot begin" not in it.shown("{{json .State.Health.Log}}")
        it.inside("touch /go")
        assert it.ended()["exitCode"] == 5
