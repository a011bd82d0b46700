"""List the changes in the upper directory of an overlay, as `docker diff` does; see overlayfs and merged.py.

The upper directory has all files that were changed. So the changes are found by a walk through it, which compares each
file with the one that the layers come to at its place.
"""

from __future__ import annotations

import errno
import os
import stat

from tinybox.errors import TinyboxError
from tinybox.isolation.merged import Merged, opened
from tinybox.linux.filesystem import files
from tinybox.linux.filesystem.overlay_marks import has_mark, infos, is_whiteout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def changes(upper: str, layers: Sequence[str], mark: str) -> Iterator[tuple[str, str]]:
    """Yield ``(kind, path)`` for each change in *upper*, sorted by path: A added, C changed, D deleted.

    *mark* is the attribute of opaque directories that this overlay uses: any program can set the other one.

    The result is that of ``docker diff``: a file that was copied up and is unchanged is no change; a directory is
    changed if a file in it is. See "whiteouts and opaque directories" in the kernel's overlayfs documentation.
    TinyboxError: a path is longer than PATH_MAX.
    """
    top = os.open(upper, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with Merged([layer for layer in layers if layer]) as image:
            yield from _changes(top, image, mark)
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        cause = f"a path in it is longer than {files.LONGEST_PATH} bytes; it and the paths after it cannot be listed"
        raise TinyboxError("diff", cause, "remove it, or move it further up") from error
    finally:
        os.close(top)


class _Level:
    """A directory of the upper tree during the walk: the files in it, and the names of those that it hides.

    *below* are the layers that the directory of this path in the image comes from.
    """

    def __init__(self, top: int, path: str, image: Merged, below: list[int], mark: str, *, hidden: bool) -> None:
        self.path, self.below = path, below
        where = os.fsencode(path[1:])
        fd = opened(top, where, os.O_RDONLY | os.O_DIRECTORY)
        self.hidden, self.here = hidden, {}
        if fd is not None:  # it may have been removed since its name was read
            try:
                self.hidden = hidden or has_mark(f"/proc/self/fd/{fd}", mark)  # this directory of the layers is hidden
                self.here = dict(infos(fd))
            finally:
                os.close(fd)
        gone = image.names(below, where) if self.hidden else set()
        self.names = iter(sorted(gone.union(self.here)))


def _changes(top: int, image: Merged, mark: str) -> Iterator[tuple[str, str]]:
    """Yield the changes below the open *top*, compared with the *image*, for a tree of any depth."""
    way = [_Level(top, "", image, image.root, mark, hidden=False)]
    unchanged: list[str] = []  # directories on the current path without a change of their own or in them so far
    while way:
        level = way[-1]
        name = next(level.names, None)
        if name is None:
            way.pop()
            if unchanged and unchanged[-1] == level.path:
                unchanged.pop()
            continue
        where, info = f"{level.path}/{name}", level.here.get(name)
        place = os.fsencode(where[1:])
        under = image.seen(level.below, place)
        kind = _kind(info, under)
        if kind:
            yield from (("C", path) for path in unchanged)
            unchanged.clear()
            yield kind, where
        if info is not None and stat.S_ISDIR(info.st_mode):
            if not kind:
                unchanged.append(where)
            below = image.inside(level.below, place)
            way.append(_Level(top, where, image, below, mark, hidden=level.hidden))


def _kind(info: os.stat_result | None, under: os.stat_result | None) -> str:
    """Return the letter of the change from the file *under* to the file *info*; "" if there is none.

    Of two directories it compares the attributes, not the content.
    """
    if info is None or is_whiteout(info):
        return "" if under is None else "D"
    if under is None:
        return "A"
    return "" if compared(info) == compared(under) else "C"


def compared(info: os.stat_result) -> tuple[int, ...]:
    """Return the fields that differ after a change; without the time and size of a directory.

    These two change with every entry of the directory.
    """
    content = () if stat.S_ISDIR(info.st_mode) else (info.st_size, info.st_mtime_ns)
    return (info.st_mode, info.st_uid, info.st_gid, info.st_rdev, *content)
