"""A command that stops a box waits longer than its patience while the owner gets on, and not if it does not."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.support.boxes import until
from tests.support.detached_boxes import life, stdout_of
from tests.support.network_boxes import bridged
from tests.support.slowness import SLOWNESS
from tests.support.stored_boxes import home_at
from tinybox.container import control
from tinybox.container.network import pools
from tinybox.container.records import waking
from tinybox.container.records.paths import Paths
from tinybox.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Command

__all__ = ["bridged"]
pytestmark = pytest.mark.root
BUSYBOX = ("busybox", "sleep", "1000")
PATIENCE = 2.0 * SLOWNESS


@contextmanager
def locked() -> Iterator[None]:
    """Hold the lock on the host's bridges, for which the owner of a box on a bridge waits at its end."""
    fd = os.open(pools.folder(), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    fcntl.flock(fd, fcntl.LOCK_EX)
    try:
        yield
    finally:
        os.close(fd)


@contextmanager
def others_come_and_go(tinybox: Command) -> Iterator[None]:
    """Let boxes without a network begin and end all the time."""
    over = threading.Event()

    def act() -> None:
        while not over.is_set():
            stdout_of(tinybox, "run", "--rm", "--network", "none", "busybox", "true")

    thread = threading.Thread(target=act)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_an_owner_that_waits_for_its_turn_is_waited_for(bridged: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its turn comes after three times the patience. Other boxes of the store end meanwhile, so the stop is patient."""
    monkeypatch.setattr(control, "PATIENCE", PATIENCE)
    paths = Paths(str(bridged.root))
    with life(bridged, *BUSYBOX) as box, others_come_and_go(bridged):
        errors, begun = list[BaseException](), time.monotonic()

        def stop() -> None:
            try:
                control.stop(paths, box.id, 0)
            except BaseException as error:  # noqa: BLE001  the other thread looks at it
                errors.append(error)

        with locked():
            thread = threading.Thread(target=stop)
            thread.start()
            thread.join(3 * PATIENCE)
            assert thread.is_alive(), errors
        thread.join()
        assert errors == []
        assert time.monotonic() - begun > 3 * PATIENCE
        assert box.state["status"] == "stopped"


def test_the_control(bridged: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """No other box ends meanwhile: after its patience the command says what is wrong."""
    monkeypatch.setattr(control, "PATIENCE", PATIENCE)
    paths = Paths(str(bridged.root))
    with life(bridged, *BUSYBOX) as box:
        with locked():
            begun = time.monotonic()
            with pytest.raises(StateError, match="does not end"):
                control.stop(paths, box.id, 0)
            assert PATIENCE < time.monotonic() - begun < 2 * PATIENCE + 5 * SLOWNESS
        until(lambda: box.state["status"] == "stopped")


OWNER = """
import os, subprocess, sys, time
child = subprocess.Popen(["sleep", "1000"])
print(child.pid, flush=True)
while sys.argv[1] == "runs":
    time.sleep(0.01)
sys.stdin.read()
"""


@pytest.mark.parametrize("others", [True, False])
@pytest.mark.parametrize("owner", ["runs", "hangs", "ended"])
def test_what_getting_on_means(tmp_path: Path, owner: str, *, others: bool) -> None:
    """The owner runs, and other boxes of the store begin or end: one of the two is not enough."""
    tmp_path.chmod(0o700)
    paths = home_at(tmp_path)
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, owner], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        first = int(process.stdout.readline())
        try:
            time.sleep(0.3)
            known = waking.Owner(paths, first)
            if owner == "ended":
                process.kill()
                process.wait()
            time.sleep(0.3)
            if others:
                os.mkdir(paths.run_directory("a" * 64))
            assert known.gets_on() == (others and owner == "runs")
            assert not known.gets_on()  # nothing has changed since
        finally:
            os.kill(first, signal.SIGKILL)
            process.kill()
