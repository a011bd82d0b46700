"""Measure a directory tree while other processes may change it; see stat(2)."""

from __future__ import annotations

import errno
import os

from tinybox.linux.filesystem import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def tree_size(path: str) -> int:
    """Return the sum of the sizes of all files below *path* in bytes, each file counted once; see stat(2).

    Files that are removed or moved during the walk are not counted.
    """
    sizes: dict[tuple[int, int], int] = {}
    try:
        top = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return 0
    try:
        for fd, _, names in files.walk(top):
            for info in _infos(names, fd):
                sizes[info.st_dev, info.st_ino] = info.st_size
    except OSError as error:
        if error.errno != errno.ESTALE:
            raise
    finally:
        os.close(top)
    return sum(sizes.values())


def _infos(names: Sequence[str], fd: int) -> list[os.stat_result]:
    infos = []
    for name in names:
        try:
            infos.append(os.stat(name, dir_fd=fd, follow_symlinks=False))
        except FileNotFoundError:
            continue
    return infos
