"""Whether another holds a file: to ask changes nothing for who holds it, and nobody is kept out by the question."""

from __future__ import annotations

import fcntl
import os
import threading
from typing import TYPE_CHECKING

import pytest

from tests.support.boxes import patience
from tests.support.slowness import SLOWNESS
from tinybox.linux.filesystem import locks
from tinybox.linux.filesystem.locks import Lock

if TYPE_CHECKING:
    from pathlib import Path


def test_who_holds_a_file_for_himself_is_seen(tmp_path: Path) -> None:
    """A lock of one's own is in the way; one that is shared is not, and neither is none."""
    path = tmp_path / "lock"
    path.touch()
    assert not locks.is_locked(str(path))
    with open(path, encoding="ascii") as holder, open(path, encoding="ascii") as asking:
        for kind, free in ((fcntl.LOCK_SH, True), (fcntl.LOCK_EX, False), (fcntl.LOCK_UN, True)):
            fcntl.flock(holder, kind)
            assert locks.is_locked(str(path)) == (not free)
            assert locks.share(asking.fileno()) == free
            fcntl.flock(asking, fcntl.LOCK_UN)


def test_to_ask_leaves_no_lock_and_no_descriptor(tmp_path: Path) -> None:
    """Right after the question the file can be locked by anybody; one that is not there is an error."""
    path = tmp_path / "lock"
    path.touch()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        assert not locks.is_locked(str(path))
    assert len(os.listdir("/proc/self/fd")) == before
    with open(path, encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with pytest.raises(FileNotFoundError):
        locks.is_locked(str(tmp_path / "nosuch"))


def test_a_thread_enters_a_lock_that_it_holds(tmp_path: Path) -> None:
    """Inside a shared lock the exclusive one is entered at once. Only the end of the outer lock releases the file."""
    path = tmp_path / "lock"
    with Lock(str(path), fcntl.LOCK_SH):
        with patience(10 * SLOWNESS), Lock(str(path)):
            assert not is_free(path)
        assert not is_free(path)
    assert is_free(path)
    with Lock(str(path)):  # control: the file is really locked the next time
        assert not is_free(path)


def test_another_thread_waits(tmp_path: Path) -> None:
    """A second thread enters the lock after the first thread has left it."""
    path, order = str(tmp_path / "lock"), list[str]()

    def enter() -> None:
        with Lock(path):
            order.append("in")

    with Lock(path):
        thread = threading.Thread(target=enter)
        thread.start()
        thread.join(0.2)
        order.append("out")
    thread.join()
    assert order == ["out", "in"]


def is_free(path: Path) -> bool:
    """Return whether this process can lock the file *path* by a new open file."""
    with open(path, "a", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True
