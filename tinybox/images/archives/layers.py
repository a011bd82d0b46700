"""Write a layer on disk, or a container's upper directory, as a layer archive of the OCI image-spec (commit, save).

overlayfs marks a deleted file by a device 0:0, and an opaque directory by an attribute. The archive has the marks of
images instead: an empty file ``.wh.NAME`` (a whiteout), and ``.wh..wh..opq``. Those of fuse-overlayfs are such files.
"""

from __future__ import annotations

import os
import tarfile
from typing import TYPE_CHECKING

from tinybox.images.archives.members import Member, members, write
from tinybox.images.archives.metadata import XATTR
from tinybox.images.archives.whiteouts import OPAQUE, WHITEOUT
from tinybox.linux.filesystem import overlay_marks
from tinybox.linux.filesystem.holes import Writer
from tinybox.linux.filesystem.overlay_marks import is_named, is_note, opaque_of_layers

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    Report = Callable[[str], None]


def mark_of_layers() -> str:
    """Return the key of a header under which `members` gives the mark of an opaque directory of the store's layers."""
    return f"{XATTR}{opaque_of_layers()}"


def pack(
    upper: str,
    path: str,
    mark: str,
    omitted: Report,
    without: Collection[str] = (),
    newest: int | None = None,
    owner: Callable[[int, int], tuple[int, int]] | None = None,
) -> bool:
    """Write the directory *upper*, except the paths *without*, to the layer archive *path*; return if it has files.

    The paths in *without* begin with a slash, which means *upper*; with a directory the caller also lists all files
    below it. *omitted* is called with the name of each file that a layer cannot contain. A time of a file that is later
    than *newest*, in seconds since 1970, becomes that: SOURCE_DATE_EPOCH. *owner* returns the uid and gid for the
    archive, if they are not those on disk.
    """
    fd, packed = os.open(upper, os.O_PATH | os.O_DIRECTORY), 0

    def kept() -> Iterator[Member]:
        nonlocal packed
        for member in members(fd, ".", omitted, marks=True):
            if f"/{member.header.name}" not in without:
                packed += 1
                if owner is not None:
                    member.header.uid, member.header.gid = owner(member.header.uid, member.header.gid)
                if newest is not None:
                    member.header.mtime = min(member.header.mtime, newest)
                yield member

    try:
        with open(path, "wb", buffering=0) as file, Writer(file.fileno()) as writer:
            write(layer(kept(), mark, omitted), writer)
        return packed > 1  # the first member is the directory itself
    finally:
        os.close(fd)


def layer(found: Iterable[Member], mark: str, omitted: Report) -> Iterator[Member]:
    """Yield the members of an upper directory with the marks of overlayfs replaced by those of a layer.

    *mark* is the attribute of opaque directories. A file whose name begins like a whiteout's would hide another file,
    and a device node would give access to a device: both are left out, and *omitted* is called with their names.
    """
    for member in found:
        header = member.header
        folder, slash, name = header.name.rpartition("/")
        if header.ischr() and (header.devmajor, header.devminor) == (0, 0):
            yield _marker(f"{folder}{slash}{WHITEOUT.decode()}{name}")
        elif is_named(name):
            yield _marker(header.name)
        elif header.ischr() or header.isblk() or name.startswith(WHITEOUT.decode()):
            omitted(header.name)
        else:
            is_opaque = not overlay_marks.refused and header.pax_headers.get(mark) == "y"
            header.pax_headers = {key: value for key, value in header.pax_headers.items() if not is_note(key)}
            yield member
            if is_opaque:
                yield _marker(f"{header.name}/{OPAQUE.decode()}")


def _marker(name: str) -> Member:
    header = tarfile.TarInfo(name)
    header.mode = 0
    return Member(header, ())
