"""The lock of all exercises of a store: one command at a time starts, checks or ends one; see flock(2)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tinybox.linux.filesystem import descriptors, ownership
from tinybox.linux.filesystem.locks import Lock

if TYPE_CHECKING:
    from tinybox.container.records.paths import Paths

LOCK = "lock"


def folder(paths: Paths) -> str:
    """Return ROOT/exercises, which is made if it is missing; HostError: another user could have filled it."""
    path = os.path.join(paths.root, "exercises")
    ownership.check_inside(paths.root, ("exercises",))
    os.makedirs(path, 0o700, exist_ok=True)
    return path


def locked(paths: Paths) -> Lock:
    """Return the lock that a command holds while it starts, checks or ends an exercise; see flock(2)."""
    return Lock(os.path.join(folder(paths), LOCK))


def lock_descriptors(paths: Paths) -> dict[int, tuple[int, int]]:
    """Return this process's descriptors of the lock: a child that keeps one would hold the lock as long as it runs."""
    lock = os.stat(os.path.join(folder(paths), LOCK))
    return {fd: each for fd, each in descriptors.open_now().items() if each == (lock.st_dev, lock.st_ino)}
