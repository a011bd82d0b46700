"""Copies of names and states of containers at rest in one file: `ps -a` over a thousand of them opens one file.

The truth is the state.json in a container's bundle. ROOT/cache/states has copies, each with the inode, the size and the
time of the last change of the file that was read. A copy counts only while stat(2) finds that same file, unchanged. A
state.json is replaced as a whole by rename(2), so it gets another inode, and a change in place gives it another time:
see st_ctime in inode(7). Every other state.json is read. Of a name, which is a link, the inode tells the same. So this
file can be lost, old, or of another store, and no command shows anything wrong; a command that is killed while it
writes leaves the former file.
"""

from __future__ import annotations

import fcntl
import os
import time
from binascii import crc32

from tinybox.container.records import naming, state
from tinybox.linux import quick_json as json
from tinybox.linux.filesystem import files, ownership

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinybox.container.records.naming import Link
    from tinybox.container.records.paths import Paths
    from tinybox.container.records.state_file import State

NAME = "states"
FEWEST = 64  # containers: fewer are read as fast without copies
NEW = 32  # states that had to be read, after which the copies are written again
# A file that has changed less than a second ago could change again without another time: the kernel's clock for files
# moves on every few milliseconds. So no copy of it is kept.
SETTLED = 1_000_000_000  # nanoseconds


class RestingStates:
    """The names and states of the containers *stored*, as one command reads them; `keep` writes copies for the next."""

    def __init__(self, paths: Paths, stored: list[str]) -> None:
        self._paths, self._stored = paths, stored
        are_many = len(stored) >= FEWEST
        self._links, self._copies = _load(_path(paths)) if are_many else ({}, {})
        self._marks = _marks(paths.containers, stored) if are_many else {}
        self._kept: dict[str, str] = {}
        self._new = 0

    def names(self) -> dict[str, str]:
        """Return all containers that have a name, as a dict from id to name.

        If one of those at rest has no name, the copy of another one's link may be wrong: then all links are read.
        """
        known, self._links = self._links, naming.links(self._paths, self._links)
        names = naming.by_container(self._links)
        if known and not names.keys() >= set(self._stored):
            self._links = naming.links(self._paths, {})
            names = naming.by_container(self._links)
        return names

    def read(self, container: str) -> State:
        """Return the state of a container that had no run directory a moment ago; errors: see state.read_at_rest."""
        mark = self._marks.get(container, "")
        copy = self._copies.get(container, "")
        if mark and copy.startswith(mark):
            self._kept[container] = copy
            known: State = json.value_at(copy, len(mark))
            return known
        found = state.read_at_rest(self._paths, container)
        if mark and found["status"] in (state.NEW, state.STOPPED):
            self._new += 1
            self._kept[container] = f"{mark}{json.dumps(found)}"
        return found

    def keep(self) -> None:
        """Write the copies again if many states are new; not if another command does so, or the store is read-only."""
        if self._new < NEW or len(self._kept) < FEWEST:
            return
        text = "\n".join(
            f"{name} {inode} {container} {self._kept[container]}"
            for name, (inode, container) in self._links.items()
            if container in self._kept
        )
        try:
            os.makedirs(self._paths.cache, 0o700, exist_ok=True)
            fd = os.open(self._paths.cache, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                files.replace(_path(self._paths), f"{crc32(text.encode()):08x}\n{text}".encode())
            finally:
                os.close(fd)
        except OSError:
            return


def _path(paths: Paths) -> str:
    return os.path.join(paths.cache, NAME)


def _marks(folder: str, stored: list[str]) -> dict[str, str]:
    """Return the identity of the state.json of each container as text, but of those that have just changed: stat(2)."""
    latest, found = time.time_ns() - SETTLED, {}
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for container in stored:
            try:
                info = os.stat(f"{container}/state.json", dir_fd=fd)
            except OSError:
                continue
            if 0 <= (changed := info.st_ctime_ns) <= latest:
                found[container] = f"{info.st_ino} {changed} {info.st_size} "
    finally:
        os.close(fd)
    return found


def _load(path: str) -> tuple[dict[str, Link], dict[str, str]]:
    """Return the links by name, and the copies by container, each behind the mark of its file.

    Both are empty if the file is not as it was written.
    """
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
            data = file.read(json.MOST) if ownership.is_private(file.fileno()) else b""
    except OSError:
        return {}, {}
    check, _, text = data.partition(b"\n")
    if check != f"{crc32(text):08x}".encode():
        return {}, {}
    lines = [line.split(" ", 3) for line in text.decode("ascii").split("\n")]
    links = {name: (int(inode), container) for name, inode, container, _ in lines}
    return links, {container: copy for _, _, container, copy in lines}
