"""The event log: a full one is renamed by one process, and no process waits for another one that does that."""

from __future__ import annotations

import fcntl
import signal
from typing import TYPE_CHECKING, NoReturn

import pytest

from tests.support.slowness import SLOWNESS
from tinybox.linux.filesystem import event_log

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def at_once() -> Iterator[None]:
    """Fail a test that waits for seconds."""

    def fail(*_: object) -> NoReturn:
        raise AssertionError("the process waits for the lock")

    former = signal.signal(signal.SIGALRM, fail)
    signal.setitimer(signal.ITIMER_REAL, 3 * SLOWNESS)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, former)


@pytest.mark.usefixtures("at_once")
def test_a_full_log_that_another_process_has_locked(tmp_path: Path) -> None:
    """A command that was stopped while it renames the log delays no other: they append to it; the next renames it."""
    path, former = tmp_path / event_log.NAME, tmp_path / f"{event_log.NAME}.1"
    path.write_bytes(b"\n" * event_log.LARGEST)
    with path.open("rb") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        event_log.append(str(path), event_log.event("container", "start", "first", {}))
        assert b"first" in path.read_bytes()
        assert not former.exists()
    event_log.append(str(path), event_log.event("container", "start", "second", {}))
    assert [b"first" in former.read_bytes(), b"second" in former.read_bytes(), path.exists()] == [True, True, False]
