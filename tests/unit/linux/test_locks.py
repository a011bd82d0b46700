"""Locks: of two threads one waits, and who holds a lock already does not wait for itself."""

from __future__ import annotations

import fcntl
import os
import threading
from typing import TYPE_CHECKING

from tests.support.boxes import patience
from tests.support.slowness import SLOWNESS
from tinybox.linux.locks import Lock

if TYPE_CHECKING:
    from pathlib import Path


def is_free(path: Path) -> bool:
    """Tell whether the lock can be had by an open file of our own."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(fd)
    return True


def test_who_holds_it_does_not_wait_for_himself(tmp_path: Path) -> None:
    """Inside the shared lock the other one is entered at once; only the end of the outer one gives it back."""
    path = tmp_path / "lock"
    with Lock(str(path), fcntl.LOCK_SH):
        with patience(10 * SLOWNESS), Lock(str(path)):
            assert not is_free(path)
        assert not is_free(path)
    assert is_free(path)
    with Lock(str(path)):  # the control: it is held again, and not only thought to be
        assert not is_free(path)


def test_another_thread_waits(tmp_path: Path) -> None:
    """What one thread holds another does not have: it enters when the first has left, and not before."""
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
