"""Mapped layers: copies of an image's layers whose files have other owners, for the id maps of a user without root.

overlayfs shows the owners that are on disk, and only root of the host may make an idmapped mount of its file system. So
a box whose id 0 is not that of the store gets layers that are copied once for its map, as by podman without root. The
copy of ROOT/layers/KEY/fs is ROOT/layers/KEY/fs.MAP, where MAP is a digest of the map: all boxes with this map share
it, and it is removed with its layer. It is made in ROOT/tmp and then renamed, so it is whole or not there.
"""

from __future__ import annotations

import os

from tinybox.errors import ImageError
from tinybox.images.store import entries
from tinybox.linux.filesystem import files
from tinybox.linux.filesystem.locks import Lock, make_locked

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    Owner = Callable[[int, int], tuple[int, int]]  # from the uid and gid of a file in the box to those on disk

_NAME, _DIGITS = "fs", 12


def path_of(layer: str, maps: bytes) -> str:
    """Return the path of the copy of *layer*, ``.../KEY/fs``, for the text of the id *maps*."""
    import hashlib  # 2 ms, which only a box with such maps needs

    return f"{layer}.{hashlib.sha256(maps).hexdigest()[:_DIGITS]}"


def original(path: str) -> str:
    """Return the layer of which the layer *path* is a copy; *path* itself if it is none."""
    folder, slash, name = path.rpartition("/")
    return f"{folder}{slash}{_NAME}" if name.startswith(f"{_NAME}.") else path


def is_copy(path: str) -> bool:
    """Return whether *path*, or a key of `sizes`, is that of a copy."""
    return original(path) != path


def make(root: str, layers: Sequence[str], maps: bytes, owner: Owner, told: Callable[[], object]) -> list[str]:
    """Make the missing copies of *layers* for these *maps*, and return the paths of all; call *told* before the first.

    The caller holds a shared lock of the store, so no layer goes meanwhile. ImageError: a file belongs to an id that
    the box does not have.
    """
    copies = [path_of(layer, maps) for layer in layers]
    if all(map(os.path.isdir, copies)):
        return copies
    with Lock(f"{root}/locks/mapped"):
        missing = [pair for pair in dict.fromkeys(zip(layers, copies, strict=True)) if not os.path.isdir(pair[1])]
        if missing:
            told()
            _make(root, missing, owner)
    return copies


def _make(root: str, missing: Iterable[tuple[str, str]], owner: Owner) -> None:
    """Copy each layer in a directory of ROOT/tmp that is locked: the next command removes that of a killed one."""
    work = f"{root}/tmp/mapped-{os.urandom(8).hex()}"
    fd = make_locked(work)
    try:
        for number, (layer, place) in enumerate(missing):
            draft = f"{work}/{number}"
            os.mkdir(draft, 0o755)
            _copy(layer, draft, owner)
            os.rename(draft, place)
    finally:
        files.remove_tree(work)
        os.close(fd)


def _copy(layer: str, draft: str, owner: Owner) -> None:
    """Copy the files of *layer* with their attributes and holes, and with the marks by which it hides lower ones."""
    from tinybox.images.archives import layers, members
    from tinybox.images.archives.tree import Tree

    top = os.open(layer, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with Tree(draft) as tree:
            for header, data in layers.layer(members.members(top, ".", marks=True), layers.mark_of_layers(), _refuse):
                header.uid, header.gid = owner(header.uid, header.gid)
                if min(header.uid, header.gid) < 0:
                    raise ImageError(f"file {header.name}", "belongs to an id that the box does not have")
                tree.add(header, data)
            tree.end()
            for directory in tree.directories():
                tree.finish(directory)
    finally:
        os.close(top)


def _refuse(name: str) -> None:
    raise ImageError(f"file {name}", "cannot be in a layer")


def sizes(root: str) -> dict[str, int]:
    """Return the bytes of the files of each copy, by KEY/fs.MAP; see st_size in stat(3type)."""
    from tinybox.linux.filesystem.trees import tree_size

    return {name: tree_size(f"{root}/layers/{name}") for name in _every(root)}


def remove_unused(root: str, used: Iterable[str]) -> None:
    """Remove the copies that are not at one of the *used* paths; the caller holds the store's lock."""
    kept = set(used)
    for name in _every(root):
        if f"{root}/layers/{name}" not in kept:
            files.remove_tree(f"{root}/layers/{name}")


def _every(root: str) -> list[str]:
    return [
        f"{key}/{name}"
        for key in entries(f"{root}/layers")
        for name in entries(f"{root}/layers/{key}")
        if name.startswith(f"{_NAME}.")
    ]
