"""Compare two versions of a file in two layers: whether a later layer has stored the same content once more.

Times do not tell: many images are built with the same time on all files. So the bytes are read, up to the first
difference; see read(2).
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from tinybox.linux.filesystem.files import open_straight

if TYPE_CHECKING:
    from collections.abc import Iterator

_CHUNK = 1 << 20  # bytes
_MOST = 1 << 30  # bytes; an image may have a file with a hole of terabytes


def has_same_content(tree: str, path: str, fd: int, name: str, mode: int) -> bool:
    """Return whether the file *path* of the layer *tree* and *name* in the open directory *fd* have the same content.

    *mode* has the type of both, and both have the same size. Files of more than a gibibyte are taken to be the same if
    they have the same time, as in rsync. A file that a running container has just replaced is another one. No link is
    followed.
    """
    try:
        if stat.S_ISREG(mode):
            return _is_same_file(tree, path, fd, name)
        if stat.S_ISLNK(mode):
            return os.readlink(name, dir_fd=fd) == _target(tree, path)
    except OSError:
        return False
    return True


def _is_same_file(tree: str, path: str, fd: int, name: str) -> bool:
    lower = _open_in(tree, path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        upper = open_straight(fd, os.fsencode(name), os.O_RDONLY | os.O_NONBLOCK)
        try:
            info = os.fstat(lower)
            if info.st_size > _MOST:
                return info.st_mtime_ns == os.fstat(upper).st_mtime_ns
            return all(one == other for one, other in _pieces(lower, upper))
        finally:
            os.close(upper)
    finally:
        os.close(lower)


def _pieces(lower: int, upper: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield the content of both files in pieces; at the end of the first one, the other may have another piece."""
    while True:
        one, other = os.read(lower, _CHUNK), os.read(upper, _CHUNK)
        yield one, other
        if not one:
            return


def _target(tree: str, path: str) -> str:
    link = _open_in(tree, path, os.O_PATH)
    try:
        return os.fsdecode(os.readlink(b"", dir_fd=link))
    finally:
        os.close(link)


def _open_in(tree: str, path: str, flags: int) -> int:
    top = os.open(tree, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return open_straight(top, os.fsencode(path[1:]), flags)
    finally:
        os.close(top)
