"""Find and remove what killed commands have left of imports, commits and removals of images: every command does this.

A command has a directory in ROOT/tmp while it adds or removes an image. If there is none, it takes one stat(2).
"""

from __future__ import annotations

import os

from tinybox.errors import Reported
from tinybox.linux.filesystem.locks import is_locked


def tidy(root: str) -> None:
    """Sweep ROOT/tmp if a directory in it has no living owner; see intake.sweep.

    A directory counts as a link of the directory above; where it does not (btrfs), an empty directory has the size 0.
    See st_nlink in inode(7).
    """
    folder = f"{root}/tmp"
    try:
        info = os.stat(folder)
        if info.st_nlink == 2 or (info.st_nlink < 2 and not info.st_size):
            return
        left = [name for name in os.listdir(folder) if _is_left(f"{folder}/{name}")]
    except OSError:
        return
    if left:
        from tinybox.images import intake
        from tinybox.images.store import Store

        with Reported("the rest of an import"):
            store = Store(root)
            with store.locked():
                intake.sweep(store)


def _is_left(path: str) -> bool:
    """Return whether no process holds the directory *path* locked; one that is just being made is looked at again."""
    try:
        return not is_locked(path, os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return False
