"""Whiteouts: the marks by which a layer hides files of lower layers, and the marks that overlayfs has for them.

A layer's archive has an empty file ``.wh.NAME`` for a deleted file, and ``.wh..wh..opq`` in an opaque directory; see
"Whiteouts" in layer.md of the OCI image-spec. overlayfs has a character device 0:0, and an attribute. A whiteout hides
only what lower layers have, so it never removes a file of its own layer, whichever of the two comes first.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

from tinybox.errors import ImageError
from tinybox.images.archives.metadata import set_attribute_if_possible
from tinybox.linux.filesystem.overlay_marks import USER_OPAQUE, opaque_of_layers

if TYPE_CHECKING:
    from collections.abc import Iterator

    Parts = tuple[bytes, ...]

OPAQUE = b".wh..wh..opq"  # OCI image-spec, layer: hide all files of lower layers in this directory
WHITEOUT = b".wh."  # OCI image-spec, layer: hide the lower layers' file of this name
AUFS = b".wh..wh."  # AUFS's own files: only OPAQUE has a meaning; a hard link may point to a file in .wh..wh.plnk
_NOT_HERE = (errno.EPERM, errno.ENOTSUP)  # this file system, or this user, cannot have the marks


class Marks:
    """The marks that one layer's archive makes.

    *aufs* has the names of AUFS's own directories in the root of the layer.
    """

    def __init__(self) -> None:
        self.aufs: set[bytes] = set()
        self._hiding: set[Parts] = set()  # directories with whiteouts in them
        self._opaque: set[Parts] = set()

    def add(self, parent: int, parts: Parts) -> None:
        """Make overlayfs's mark for the OCI marker *parts*, whose directory is open as *parent*; none for AUFS's."""
        *above, marker = parts
        name = marker.removeprefix(WHITEOUT)
        if marker == OPAQUE:
            self.hide(parent, (*above, b"."))
        elif name in {b"", b".", b".."}:
            raise ImageError("", "it is a whiteout without a name", "the archive is unsafe")
        elif not marker.startswith(AUFS):
            self.hide(parent, (*above, name))

    def hide(self, parent: int, parts: Parts) -> None:
        """Hide the file *parts* of lower layers, unless this layer has such a file, which hides it already.

        If this layer has such a directory, mark it as opaque; its name may be ``.``.
        """
        *above, name = parts
        mode = mode_of(parent, name)
        try:
            if stat.S_ISDIR(mode):
                self._opaque.add(tuple(above) if name == b"." else parts)
                _set_opaque(parent, name)
            elif not mode:
                self._hiding.add(tuple(above))
                os.mknod(name, stat.S_IFCHR, os.makedev(0, 0), dir_fd=parent)
        except OSError as error:
            if error.errno not in _NOT_HERE:
                raise
            cause = "tinybox cannot make a whiteout on this file system"  # such as overlayfs
            raise ImageError("", cause, "be root, and have the store on ext4, xfs or btrfs (--root)") from error

    def useless(self) -> Iterator[Parts]:
        """Yield the directories with whiteouts that an opaque directory, here or further up, makes useless."""
        opaque: Parts | None = None
        for parts in sorted(self._hiding | self._opaque):  # a directory comes before those in it
            if opaque is None or parts[: len(opaque)] != opaque:
                opaque = parts if parts in self._opaque else None
            if opaque is not None and parts in self._hiding:
                yield parts


def remove(directory: int) -> None:
    """Remove the whiteouts in the open *directory*; a layer has no other devices."""
    for name in os.listdir(directory):
        if stat.S_ISCHR(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode):
            os.unlink(name, dir_fd=directory)


def mode_of(parent: int, name: bytes) -> int:
    """Return the type and mode of the file *name*, without following a link; 0 if it does not exist."""
    try:
        return os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return 0


def _set_opaque(parent: int, name: bytes) -> None:
    fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
    try:
        os.setxattr(fd, opaque_of_layers(), b"y")
        set_attribute_if_possible(fd, USER_OPAQUE, b"y")
    finally:
        os.close(fd)
