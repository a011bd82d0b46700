"""Look files up in what layers come to, without a mount: whiteouts, opaque directories and links count as in overlayfs.

A file is never looked up layer by layer: a directory on its path may be a link in one layer, and the link's target in
another. So each name of the path is looked up in all layers that the directory so far comes from, as the kernel does
it; see "merged objects" in the kernel's documentation of overlayfs, and path_resolution(7).
"""

from __future__ import annotations

import errno
import os
import stat

from tinybox.isolation.overlay import stack
from tinybox.linux.filesystem import files
from tinybox.linux.filesystem.overlay_marks import has_mark, infos, is_whiteout, mark_beside, opaque_of_layers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

_LINKS_MAX = 40  # as many as the kernel follows; see path_resolution(7)
_ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)  # ELOOP: a link has just taken a directory's place
_IN_ROOT = files.RESOLVE_IN_ROOT | files.RESOLVE_NO_MAGICLINKS


class Merged:
    """A context manager with the open *layers*, bottom first, and the view that overlayfs would have of them.

    Layers do not change. Only if there is a single one, it may be a directory in which a container runs: then the
    kernel resolves the whole path. *mark* is the attribute of opaque directories, that of layers if it is empty; see
    overlay.opaque_mark.
    """

    def __init__(self, layers: Sequence[str], mark: str = "") -> None:
        self._mark, self._fds = mark or opaque_of_layers(), list[int]()
        try:
            for path in reversed(stack(layers)):
                self._fds.append(os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))
        except BaseException:
            self.__exit__()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        while self._fds:
            os.close(self._fds.pop())

    @property
    def root(self) -> list[int]:
        """Return the layers that the root directory comes from, as `inside` returns those of another directory."""
        return list(self._fds)

    def open(self, path: bytes) -> int:
        """Return an O_PATH fd of the file *path*, with all links followed; no link leads out. OSError: as open(2)."""
        if len(self._fds) == 1:
            return files.openat2(self._fds[0], path, os.O_PATH, _IN_ROOT)
        return self._follow(path)[1]

    def resolve(self, path: bytes) -> bytes:
        """Return the path of the file *path* that has no link in it, without a slash at its beginning; see `open`."""
        place, fd = self._follow(path)
        os.close(fd)
        return place

    def stat(self, path: bytes) -> os.stat_result | None:
        """Return the stat of *path*, a result of `resolve`; None if there is no such file."""
        return self.seen(self.levels(path.rpartition(b"/")[0]), path)

    def levels(self, path: bytes) -> list[int]:
        """Return the layers that the directory *path*, a result of `resolve`, comes from; see `inside`."""
        levels, above = self.root, b""
        for name in path.split(b"/") if path else ():
            above = above + b"/" + name if above else name
            levels = self.inside(levels, above)
        return levels

    def seen(self, levels: Sequence[int], path: bytes) -> os.stat_result | None:
        """Return the stat of *path* in a directory that comes from *levels*; None: it is missing, or whited out."""
        fd = top_of(levels, path)
        if fd is None:
            return None
        try:
            return os.fstat(fd)
        finally:
            os.close(fd)

    def inside(self, levels: Sequence[int], path: bytes) -> list[int]:
        """Return the layers that the directory *path* comes from, the top one first; it is in one that has *levels*.

        A whiteout, a file or an opaque directory hides the layers below it. If *path* is no directory, the list is
        empty.
        """
        found = []
        for level in levels:
            fd = opened(level, path)
            if fd is None:
                if is_hidden(level, path):
                    break
                continue
            try:
                if not stat.S_ISDIR(os.fstat(fd).st_mode):
                    break
                found.append(level)
                if has_mark(f"/proc/self/fd/{fd}", self._mark):
                    break
            finally:
                os.close(fd)
        return found

    def names(self, levels: Sequence[int], path: bytes) -> set[str]:
        """Return the names of the files in the directory *path*, which comes from *levels*."""
        found: dict[str, bool] = {}
        for level in levels:
            fd = opened(level, path, os.O_RDONLY | os.O_DIRECTORY)
            if fd is None:
                continue
            try:
                for name, info in infos(fd):
                    found.setdefault(name, not is_whiteout(info))
            finally:
                os.close(fd)
        return {name for name, is_there in found.items() if is_there}

    def _follow(self, path: bytes) -> tuple[bytes, int]:
        """Return the path of the file *path* without links, and an O_PATH fd of it."""
        way: list[tuple[bytes, list[int]]] = [(b"", self.root)]  # each directory on the way, with its layers
        pending, links = path.split(b"/")[::-1], 0
        while pending:
            name = pending.pop()
            if name == b"..":
                way = way[:-1] if len(way) > 1 else way
            if name in {b"", b".", b".."}:
                continue
            above, levels = way[-1]
            place = above + b"/" + name if above else name
            fd = _there(levels, place)
            mode = os.fstat(fd).st_mode
            if not (stat.S_ISLNK(mode) or stat.S_ISDIR(mode) or pending):
                return place, fd
            target = os.readlink(b"", dir_fd=fd) if stat.S_ISLNK(mode) else b""
            os.close(fd)
            if stat.S_ISDIR(mode):
                way.append((place, self.inside(levels, place)))
            elif not target:
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
            else:
                links += 1
                if links > _LINKS_MAX:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
                way = way[:1] if target.startswith(b"/") else way
                pending += target.split(b"/")[::-1]
        place, levels = way[-1]
        return place, _there(levels, place)


def opened(layer: int, path: bytes, flags: int = os.O_PATH) -> int | None:
    """Open *path* in one layer, without following a link; None: it is not there; see openat2(2)."""
    try:
        return files.open_straight(layer, path or b".", flags)
    except OSError as error:
        if error.errno not in _ABSENT:
            raise
        return None


def is_hidden(layer: int, path: bytes) -> bool:
    """Return whether one layer hides the file *path*, which it does not have, by a mark that is a name."""
    mark = mark_beside(path)
    fd = opened(layer, mark) if mark is not None else None
    if fd is None:
        return False
    os.close(fd)
    return True


def top_of(levels: Sequence[int], path: bytes) -> int | None:
    """Open *path* in the top one of *levels* that has it; None: there is none, or it is a whiteout."""
    for level in levels:
        fd = opened(level, path)
        if fd is None:
            if is_hidden(level, path):
                return None
            continue
        if is_whiteout(os.fstat(fd)):
            os.close(fd)
            return None
        return fd
    return None


def _there(levels: Sequence[int], path: bytes) -> int:
    fd = top_of(levels, path)
    if fd is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    return fd
