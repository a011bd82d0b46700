"""Whether another holds a file: to ask changes nothing for who holds it, and nobody is kept out by the question."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

import pytest

from tinybox.linux import locks

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
