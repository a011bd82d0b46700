"""A layer on disk, or a container's upper directory, written as the archive that the OCI image-spec calls a layer.

What overlayfs notes in a directory for itself is written the way images write it: a whiteout as an empty file
``.wh.NAME``, an opaque directory by ``.wh..wh..opq``.
"""

from __future__ import annotations

import os
import tarfile
from typing import TYPE_CHECKING

from tinybox.images.members import Member, members, write
from tinybox.images.metadata import XATTR
from tinybox.images.tree import OPAQUE, OVERLAY_OPAQUE, WHITEOUT

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    Told = Callable[[str], None]

MARK = f"{XATTR}{OVERLAY_OPAQUE}"  # of an opaque directory, where no user namespace is in play


def pack(upper: str, path: str, mark: str, told: Told, without: Collection[str] = ()) -> bool:
    """Write the directory *upper*, all but the paths *without*, as a layer to the archive *path*; tell if that is any.

    A name with a slash in front is one in *upper*; a folder that is left out has nothing in it that is not.
    """
    fd, packed = os.open(upper, os.O_PATH | os.O_DIRECTORY), 0

    def kept() -> Iterator[Member]:
        nonlocal packed
        for member in members(fd, ".", told, marks=True):
            if f"/{member.header.name}" not in without:
                packed += 1
                yield member

    try:
        with open(path, "wb") as file:
            write(layer(kept(), mark, told), file)
        return packed > 1  # the first is upper itself
    finally:
        os.close(fd)


def layer(found: Iterable[Member], mark: str, told: Told) -> Iterator[Member]:
    """Turn what overlayfs noted in an upper directory, with its *mark* for opaque ones, into the words of a layer.

    A name that begins as a whiteout's would hide another file, and a device node would open a door: both are left out,
    and *told*.
    """
    for member in found:
        header = member.header
        folder, slash, name = header.name.rpartition("/")
        if header.ischr() and (header.devmajor, header.devminor) == (0, 0):
            yield _note(f"{folder}{slash}{WHITEOUT.decode()}{name}")
        elif header.ischr() or header.isblk() or name.startswith(WHITEOUT.decode()):
            told(header.name)
        else:
            is_opaque = header.pax_headers.get(mark) == "y"
            header.pax_headers = {key: value for key, value in header.pax_headers.items() if "overlay." not in key}
            yield member
            if is_opaque:
                yield _note(f"{header.name}/{OPAQUE.decode()}")


def _note(name: str) -> Member:
    header = tarfile.TarInfo(name)
    header.mode = 0
    return Member(header, ())
