"""Copies of the states of containers at rest in one file, so that `ps -a` over a thousand of them opens one file.

The truth is the state.json in a container's bundle. ROOT/cache/states has copies, each with the inode, the size and the
time of the last change of the file that was read. A copy counts only while stat(2) finds that same file, unchanged. A
state.json is replaced as a whole by rename(2), so it gets another inode, and a change in place gives it another time:
see st_ctime in inode(7). Every other state.json is read. So this file can be lost, old, or of another store, and no
command shows anything wrong; a command that is killed while it writes leaves the former file.
"""

from __future__ import annotations

import fcntl
import os
import time
from binascii import crc32

from tinybox.container.records import state
from tinybox.linux import quick_json as json
from tinybox.linux.filesystem import files, ownership

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinybox.container.records.paths import Paths
    from tinybox.container.records.state_file import State

NAME = "states"
FEWEST = 64  # containers: fewer are read as fast without copies
NEW = 32  # states that had to be read, after which the copies are written again
# A file that has changed less than a second ago could change again without another time: the kernel's clock for files
# moves on every few milliseconds. So no copy of it is kept.
SETTLED = 1_000_000_000  # nanoseconds


class RestingStates:
    """The states of *count* containers at rest, as one command reads them; `keep` writes copies for the next one."""

    def __init__(self, paths: Paths, count: int) -> None:
        self._paths, self._are_many = paths, count >= FEWEST
        self._copies = _load(_path(paths)) if self._are_many else {}
        self._kept: dict[str, str] = {}
        self._new = 0

    def read(self, container: str) -> State:
        """Return the state of a container that had no run directory a moment ago; errors: see state.read_at_rest."""
        mark = _mark(f"{self._paths.containers}/{container}/state.json") if self._are_many else ""
        copy = self._copies.get(container, "")
        if mark and copy.startswith(mark):
            self._kept[container] = copy
            known: State = json.loads(copy[len(mark) :])
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
        text = "\n".join(f"{container} {copy}" for container, copy in self._kept.items())
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


def _mark(path: str) -> str:
    """Return the identity of the file *path* as text; "" if there is none, or if it has just changed; see stat(2)."""
    try:
        info = os.stat(path)
    except OSError:
        return ""
    if not 0 <= info.st_ctime_ns <= time.time_ns() - SETTLED:
        return ""
    return f"{info.st_ino} {info.st_ctime_ns} {info.st_size} "


def _load(path: str) -> dict[str, str]:
    """Return the copies by container, each behind the mark of its file; {} if the file is not as it was written."""
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
            data = file.read(json.MOST) if ownership.is_private(file.fileno()) else b""
    except OSError:
        return {}
    check, _, text = data.partition(b"\n")
    if check != f"{crc32(text):08x}".encode():
        return {}
    lines = text.decode("ascii").split("\n")
    return {container: copy for container, _, copy in (line.partition(" ") for line in lines)}
