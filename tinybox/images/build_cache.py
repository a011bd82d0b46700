"""The build cache on disk: which layer an instruction of a Containerfile made, by a key of all that it depends on.

An entry keeps its layer in the store, also without an image. It appears by rename(2). An entry whose layer is gone, or
that is damaged, counts as missing.

    ROOT/build-cache/<64 hex>          an entry: the diff id of the layer, or "" if there was no change, and the time
    ROOT/build-cache/mounts/<64 hex>   a RUN --mount=type=cache; each RUN that uses it holds a shared lock, flock(2)
        files                          the files of the mount; locked by a RUN that wants to be the only one
        used                           an empty file; its time is that of the last use

The time of an entry's file is that of its last use; an older entry has that of its making.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from typing import TYPE_CHECKING, NamedTuple

from tinybox.images.store import entries, layer_key, layer_record
from tinybox.linux import quick_json
from tinybox.linux.filesystem import files

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER, MOUNTS, FILES, USED = "build-cache", "mounts", "files", "used"
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_SHAPE = {"diff_id!": str, "created!": str}


class Entry(NamedTuple):
    """What an instruction made: the layer *diff_id*, or "", at the time *created*, in the format of RFC 3339."""

    diff_id: str
    created: str


def find(root: str, key: str) -> Entry | None:
    """Return the entry of *key* in the store *root* if its layer is there; else None."""
    found = entry(root, key)
    if found is not None and found.diff_id:
        layer = f"{root}/layers/{layer_key(found.diff_id)}"
        if not os.path.isdir(layer) or layer_record(layer)["diff_id"] != found.diff_id:
            return None
    if found is not None:
        with contextlib.suppress(OSError):  # another command has just removed it, or the file system is read-only
            os.utime(f"{root}/{FOLDER}/{key}")
    return found


def keep(root: str, key: str, entry: Entry) -> None:
    """Write an entry; the caller sees to it that its layer is in the store."""
    os.makedirs(f"{root}/{FOLDER}", 0o700, exist_ok=True)
    files.replace(f"{root}/{FOLDER}/{key}", quick_json.dumps(entry._asdict()).encode())


def layers(root: str) -> Iterator[Entry]:
    """Yield each entry that has a layer."""
    for key in keys(root):
        found = entry(root, key)
        if found is not None and found.diff_id:
            yield found


def mount(root: str, name: str) -> tuple[int, str, bool]:
    """Return the cache mount *name* (64 hex digits): its lock, the directory of its files, and if that is new.

    The cache mount is not removed until the lock, a file descriptor, is closed. The caller holds the store's lock.
    """
    folder = f"{root}/{FOLDER}/{MOUNTS}/{name}"
    os.makedirs(folder, 0o700, exist_ok=True)
    is_new = not os.path.isdir(f"{folder}/{FILES}")
    if is_new:
        os.mkdir(f"{folder}/{FILES}", 0o700)
    os.close(os.open(f"{folder}/{USED}", os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
    os.utime(f"{folder}/{USED}")
    fd = os.open(folder, _DIRECTORY)
    fcntl.flock(fd, fcntl.LOCK_SH)
    return fd, f"{folder}/{FILES}", is_new


def remove_mount(path: str) -> bool:
    """Remove the cache mount at *path*, unless a RUN uses it; the caller holds the store's lock."""
    fd = os.open(path, _DIRECTORY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        files.remove_tree(path)
    except BlockingIOError:
        return False
    finally:
        os.close(fd)
    return True


def mounts(root: str) -> list[str]:
    """Return the directories of all cache mounts."""
    folder = f"{root}/{FOLDER}/{MOUNTS}"
    return [f"{folder}/{name}" for name in entries(folder)]


def used_at(root: str, key: str = "", *, mount: str = "") -> int:
    """Return when an entry, or the cache mount at the path *mount*, was last used, in ns since 1970; see stat(2)."""
    for path in (f"{mount}/{USED}", mount) if mount else (f"{root}/{FOLDER}/{key}",):
        with contextlib.suppress(FileNotFoundError):
            return os.stat(path).st_mtime_ns
    return 0


def keys(root: str) -> list[str]:
    """Return the keys of all entries."""
    return [name for name in entries(f"{root}/{FOLDER}") if name != MOUNTS]


def forget(root: str, key: str) -> None:
    """Remove an entry; its layer stays until the store is collected, see removal.py."""
    files.discard(f"{root}/{FOLDER}/{key}")


def entry(root: str, key: str) -> Entry | None:
    """Return the entry of *key*, whether or not its layer is there; None if it is missing or damaged."""
    try:
        found = quick_json.read_own(f"{root}/{FOLDER}/{key}", _SHAPE)
    except ValueError:
        return None
    return Entry(found["diff_id"], found["created"]) if found is not None else None
