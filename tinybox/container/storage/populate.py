"""Populate a new volume: copy into it the image's directory at the place where the volume is mounted."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from tinybox.container.process.run_in_child import RunInChild
from tinybox.images.archives.members import members
from tinybox.images.archives.tree import Tree
from tinybox.isolation import copied_layers, mounts, overlay
from tinybox.linux import process
from tinybox.linux.filesystem import files, overlay_marks

if TYPE_CHECKING:
    from collections.abc import Sequence

_INSIDE = files.RESOLVE_IN_ROOT | files.RESOLVE_NO_MAGICLINKS


class Copy(Tree):
    """A plain copy of a directory: a file whose name looks like a whiteout (``.wh.``) is an ordinary file here."""

    is_layer = False


def fill(layers: Sequence[str], destination: str, volume: str) -> None:
    """Copy the directory *destination* of the image with these *layers*, bottom first, into the directory *volume*.

    Owners, modes, links and attributes are kept, also those of the directory itself. If there is no such directory in
    the image, nothing is copied.
    """
    if overlay_marks.refused:
        with suppress(FileNotFoundError, NotADirectoryError):
            copied_layers.copy(layers, volume, destination)
        return
    with RunInChild(lambda: _copy(layers, os.fsencode(destination), volume)):
        pass


def _copy(layers: Sequence[str], destination: bytes, volume: str) -> None:
    """Merge the layers in a new mount namespace, where no other process sees them, and copy from there."""
    layers = overlay.stack(layers)
    with Copy(volume) as tree:  # open before anything is mounted
        if len(layers) > 1:
            process.unshare(process.CLONE_NEWNS)
            mounts.make_private()
            overlay.mount_merged(layers, layers[-1])  # over the top layer, which overlayfs has open already
        root = os.open(layers[-1], os.O_PATH | os.O_DIRECTORY)
        try:
            top = files.openat2(root, destination, os.O_PATH | os.O_DIRECTORY, _INSIDE)
        except (FileNotFoundError, NotADirectoryError):
            return
        for header, data in members(top, "."):
            if not (header.ischr() or header.isblk()):
                tree.add(header, data)
        for directory in tree.directories():
            tree.finish(directory)
