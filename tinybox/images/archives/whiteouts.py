"""Whiteouts: the marks by which a layer hides files of lower layers, and the marks that overlayfs has for them.

A layer's archive has an empty file ``.wh.NAME`` for a deleted file, and ``.wh..wh..opq`` in an opaque directory; see
"Whiteouts" in layer.md of the OCI image-spec. overlayfs has a character device 0:0, and an attribute. A whiteout hides
only what lower layers have, so it never removes a file of its own layer, whichever of the two comes first.

Where the kernel refuses an overlay in the store, its file system may refuse these marks, too. Then the layer keeps the
names of the archive. While it is unpacked, a socket stands for a whiteout, because no layer has a socket.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

from tinybox.errors import ImageError
from tinybox.images.archives.metadata import set_attribute_if_possible
from tinybox.linux.filesystem import overlay_marks
from tinybox.linux.filesystem.files import open_straight
from tinybox.linux.filesystem.overlay_marks import USER_OPAQUE, opaque_of_layers

if TYPE_CHECKING:
    from collections.abc import Iterator

    Parts = tuple[bytes, ...]

OPAQUE = b".wh..wh..opq"  # OCI image-spec, layer: hide all files of lower layers in this directory
WHITEOUT = b".wh."  # OCI image-spec, layer: hide the lower layers' file of this name
AUFS = b".wh..wh."  # AUFS's own files: only OPAQUE has a meaning; a hard link may point to a file in .wh..wh.plnk
REPLACED = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EXDEV}  # a later member took the directory's place
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
                _make(parent, name)
        except OSError as error:
            if error.errno not in _NOT_HERE:
                raise
            cause = "tinybox cannot make a whiteout on this file system"  # such as overlayfs
            raise ImageError("", cause, "be root, and have the store on ext4, xfs or btrfs (--root)") from error

    def finish(self, root: int) -> None:
        """Remove whiteouts that overlayfs would show as broken files, and give the sockets their names; unlink(2).

        *root* is the open directory of the layer; this is called after all members.
        """
        named = self._hiding if overlay_marks.refused else ()
        for folder, act in (*((parts, remove) for parts in self._useless()), *((parts, _name) for parts in named)):
            try:
                here = open_straight(root, b"/".join(folder) or b".", os.O_RDONLY | os.O_DIRECTORY)
            except OSError as error:
                if error.errno in REPLACED:
                    continue
                raise
            try:
                act(here)
            finally:
                os.close(here)

    def _useless(self) -> Iterator[Parts]:
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
        if is_whiteout(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode):
            os.unlink(name, dir_fd=directory)


def _name(directory: int) -> None:
    """Replace the sockets in the open *directory* by files ``.wh.NAME``."""
    for name in map(os.fsencode, os.listdir(directory)):
        if stat.S_ISSOCK(mode_of(directory, name)):
            os.unlink(name, dir_fd=directory)
            _touch(directory, WHITEOUT + name)


def is_whiteout(mode: int) -> bool:
    """Return whether a file of a layer that is being unpacked, with this *mode*, stands for a whiteout."""
    return stat.S_ISCHR(mode) or stat.S_ISSOCK(mode)


def mode_of(parent: int, name: bytes) -> int:
    """Return the type and mode of the file *name*, without following a link; 0 if it does not exist."""
    try:
        return os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return 0


def _set_opaque(parent: int, name: bytes) -> None:
    fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
    try:
        if overlay_marks.refused:
            _touch(fd, OPAQUE)
            return
        os.setxattr(fd, opaque_of_layers(), b"y")
        set_attribute_if_possible(fd, USER_OPAQUE, b"y")
    finally:
        os.close(fd)


def _make(parent: int, name: bytes) -> None:
    """Make a whiteout, or else what stands for it; see mknod(2): overlayfs permits no device 0:0."""
    try:
        os.mknod(name, stat.S_IFCHR, os.makedev(0, 0), dir_fd=parent)
    except OSError as error:
        if not (overlay_marks.refused and error.errno in _NOT_HERE):
            raise
        os.mknod(name, stat.S_IFSOCK, dir_fd=parent)


def _touch(parent: int, name: bytes) -> None:
    os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=parent))
