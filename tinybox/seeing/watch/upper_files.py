"""The upper directory of a box's overlay: all that the box has added, changed and deleted; see overlayfs in the kernel.

Directories are opened with O_NOATIME (open(2)), and no file is opened: the access times stay as they are. The walk goes
down to a fixed depth and stops after a fixed number of files, because a box can make trees of any size.
"""

from __future__ import annotations

import os
import stat
import time
from itertools import islice
from typing import TYPE_CHECKING

from tinybox.container.views import units
from tinybox.isolation.merged import Merged
from tinybox.linux.filesystem import overlay_marks
from tinybox.linux.filesystem.overlay_marks import infos, is_whiteout
from tinybox.seeing.watch.rows import Panel, Row, limited

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    Found = tuple[str, os.stat_result]  # the path, which begins with /, and its facts

FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_NOATIME | os.O_CLOEXEC
DEEPEST, MOST = 24, 3000  # levels, files
SHARE = 0.005  # of a CPU at most for the walks


class UpperFiles:
    """Reads one upper directory again and again: a walk that takes long is repeated less often."""

    def __init__(self, upper: str, layers: Sequence[str]) -> None:
        self._upper, self._layers = upper, layers
        self._kinds: dict[str, tuple[int, str]] = {}
        self._rows: list[Row] = []
        self._next = 0.0

    def panel(self, points: Collection[str]) -> Panel:
        """Return what is in the directory; *points* are the mount points of the box."""
        if time.monotonic() >= self._next:
            before = time.thread_time()
            self._rows = self._look(points)
            self._next = time.monotonic() + (time.thread_time() - before) / SHARE
        return Panel("upper", "file in the upper directory", "what it is in the box", self._rows)

    def _look(self, points: Collection[str]) -> list[Row]:
        try:
            found = [(path, info) for path, info in walk(self._upper) if not stat.S_ISDIR(info.st_mode)]
        except OSError:  # the box was removed, or the directory belongs to another user
            return []
        self._learn(found)
        rows = []
        for path, info in found:
            kind = "only a mount point" if path in points else self._kinds[path][1]
            size = f", {units.decimal_size(info.st_size)}" if stat.S_ISREG(info.st_mode) and path not in points else ""
            rows.append(Row(path, f"upper{path}", f"{path}  {kind}{size}"))
        if len(found) >= MOST:
            rows.append(Row("....", f"the walk ends after {MOST} files", ""))
        return limited(rows, "files")

    def _learn(self, found: Sequence[Found]) -> None:
        """Find out once for each file whether the layers below have it."""
        fresh = [pair for pair in found if self._kinds.get(pair[0], (0,))[0] != pair[1].st_ino]
        former, self._kinds = self._kinds, {}
        for path, _ in found:
            if path in former:
                self._kinds[path] = former[path]
        if not fresh:
            return
        with Merged(self._layers) as below:
            for path, info in fresh:
                self._kinds[path] = info.st_ino, _kind(below, path, info)


def walk(top: str) -> Iterator[Found]:
    """Yield files and directories below *top*, at most MOST, and at most DEEPEST levels down, in the order of names."""
    left = MOST
    opened = [os.open(top, FLAGS)]
    try:
        ways = [iter(_entries(opened[0], ""))]
        while ways and left:
            found = next(ways[-1], None)
            if found is None:
                ways.pop()
                os.close(opened.pop())
                continue
            left -= 1
            yield found
            if stat.S_ISDIR(found[1].st_mode) and len(ways) < DEEPEST:
                try:
                    opened.append(os.open(os.path.basename(found[0]), FLAGS, dir_fd=opened[-1]))
                except OSError:  # it was removed meanwhile, or its user is not in this home
                    continue
                ways.append(iter(_entries(opened[-1], found[0])))
    finally:
        for fd in opened:
            os.close(fd)


def _entries(fd: int, folder: str) -> list[Found]:
    if overlay_marks.refused:  # a mark may be a name
        return sorted((f"{folder}/{name}", info) for name, info in islice(infos(fd), MOST))
    found = []
    with os.scandir(fd) as entries:
        for entry in entries:
            try:
                found.append((f"{folder}/{entry.name}", entry.stat(follow_symlinks=False)))
            except OSError:
                continue
            if len(found) >= MOST:
                break
    return sorted(found, key=lambda pair: pair[0])


def _kind(below: Merged, path: str, info: os.stat_result) -> str:
    if is_whiteout(info):
        return "deleted"
    return "added" if below.stat(os.fsencode(path.lstrip("/"))) is None else "changed"
