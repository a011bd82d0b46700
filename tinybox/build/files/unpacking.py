"""Unpack a tar archive for a build: a context from standard input, or ADD of an archive into the image."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from tinybox.errors import ImageError, TinyboxError
from tinybox.images.archives.archive import ErrorContext, fill, free, headers
from tinybox.images.archives.stream import opened
from tinybox.images.archives.tree import Tree, parts_of
from tinybox.linux.filesystem.files import remove_tree

if TYPE_CHECKING:
    import tarfile
    from collections.abc import Iterable
    from io import BufferedReader

_PEEK = 1 << 22  # bytes that are unpacked to learn whether a file is an archive


class FilesTree(Tree):
    """The files of an archive that is no layer: a name such as ``.wh.NAME`` has no meaning, and devices are left out.

    The members go below *folder*, a path without a slash at its beginning. *owner* is that of every file; None: that in
    the archive. `left_out` has the names of devices.
    """

    is_layer = False

    def __init__(self, path: str, folder: str = "", owner: tuple[int, int] | None = None) -> None:
        super().__init__(path)
        self._folder, self._owner = folder, owner
        self.left_out: list[str] = []

    def add(self, member: tarfile.TarInfo, data: Iterable[bytes]) -> None:
        """Make the file of *member*; ImageError: it is unsafe; OSError: it cannot be made."""
        if member.ischr() or member.isblk():
            self.left_out.append(member.name)
            return
        if self._folder:
            member.name = self._moved(member.name)
            if member.islnk():
                member.linkname = self._moved(member.linkname)
        if self._owner is not None:
            member.uid, member.gid = self._owner
        super().add(member, data)

    def _moved(self, name: str) -> str:
        """Return the *name* below the folder; ImageError: it is absolute, or leads out."""
        parts_of(name)
        return f"{self._folder}/{name}"


def unpack_context(source: BufferedReader, destination: str) -> None:
    """Make the directory *destination* from the archive *source*; ImageError: it is damaged, unsafe or too large."""
    os.mkdir(destination, 0o700)
    try:
        with opened(source, free(destination)) as stream, FilesTree(destination) as tree:
            fill(tree, stream)
    except BaseException as error:
        with suppress(OSError):  # report the first error, not this one
            remove_tree(destination)
        if isinstance(error, TinyboxError):
            error.thing = error.thing or "build context"
        raise


def is_archive(fd: int) -> bool:
    """Return whether the open regular file is a tar archive, of any compression that is known, with a member.

    Its content decides, not its name. The position of *fd* is its beginning before and after.
    """
    try:
        with open(os.dup(fd), "rb") as file, opened(file, _PEEK) as stream, ErrorContext():
            return next(headers(stream), None) is not None
    except ImageError:
        return False
    finally:
        os.lseek(fd, 0, os.SEEK_SET)


def add_archive(fd: int, root: int, folder: str, owner: tuple[int, int] | None) -> list[str]:
    """Unpack the archive *fd* into the directory *folder* of the open *root*; return the names that were left out.

    A member replaces what has its name, but a directory is merged with a directory. No link leads out of *root*.
    ImageError: the archive is damaged, unsafe or too large.
    """
    path = f"/proc/self/fd/{root}"
    with open(os.dup(fd), "rb") as file, opened(file, free(path)) as stream, FilesTree(path, folder, owner) as tree:
        fill(tree, stream)
        return tree.left_out
