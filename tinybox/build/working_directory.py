"""WORKDIR: the directory is made in the image if it is missing, with the user of USER as its owner, as in docker."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tinybox.container.config import user_option
from tinybox.isolation.merged import Merged
from tinybox.linux.filesystem import files, inside

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def is_there(below: Sequence[str], path: str) -> bool:
    """Return whether the layers *below* have something at *path*."""
    try:
        with Merged(below) as image:
            os.close(image.open(_bytes(path)))
    except OSError:
        return False
    return True


def maker(below: Sequence[str], path: str, user: str) -> Callable[[int], None]:
    """Return a function that makes the directory *path* in an open root; see mkdirat(2).

    Missing directories above it belong to root; *path* itself to *user* (names are those of the layers *below*), or
    root if that is "". NotADirectoryError: a file is in its way.
    """

    def make(root: int) -> None:
        inside.make(root, _bytes(path))
        if user:
            owner, _ = user_option.resolve(user, below)
            fd = files.openat2(root, _bytes(path), _DIRECTORY, files.RESOLVE_IN_ROOT)
            try:
                os.fchown(fd, owner["uid"], owner["gid"])
            finally:
                os.close(fd)

    return make


def _bytes(path: str) -> bytes:
    return path.encode("utf-8", "surrogateescape")
