"""Make a layer of a directory that has its files already, such as the upper directory of a RUN, without a copy of them.

The archive of the layer is never written: its bytes go through a hash, which gives the diff id, and everything but the
content of files is recorded; see original.py. The directory itself becomes the layer by rename(2).
"""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from tinybox.images.archives import layers, sparse
from tinybox.images.archives.members import members
from tinybox.images.archives.metadata import XATTR, set_attribute_if_possible
from tinybox.images.intake import LAYER
from tinybox.images.original import Recorder
from tinybox.linux.filesystem import overlay_marks
from tinybox.linux.filesystem.files import open_straight
from tinybox.linux.filesystem.overlay_marks import USER_OPAQUE, is_note

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from tinybox.images.archives.members import Member
    from tinybox.images.intake import Workspace

_PLACE = os.O_RDONLY | os.O_DIRECTORY


def adopt(
    work: Workspace, tree: str, number: int, mark: str, omitted: Callable[[str], None], without: Collection[str] = ()
) -> str:
    """Move the directory *tree* into *work* as the layer *number*; return its diff id, "" if it has no files.

    *mark*, *omitted* and *without* are those of `layers.pack`, whose archive has the same diff id. Files that a layer
    cannot contain, and those of *without*, are removed, as are the notes of overlayfs to itself. EXDEV: *tree* is in
    another file system, and stays.
    """
    layer = f"{work.path}/{LAYER}{number}"
    os.mkdir(layer, 0o700)
    try:
        os.rename(tree, f"{layer}/fs")
    except OSError:
        os.rmdir(layer)
        raise
    top = os.open(f"{layer}/fs", _PLACE | os.O_CLOEXEC)
    try:
        with Recorder(layer) as recorder:
            archive = _Archive(top, mark, omitted, without)
            archive.read(recorder)
        archive.clean()
    finally:
        os.close(top)
    diff_id = f"sha256:{archive.hash.hexdigest()}"
    record = {"diff_id": diff_id, "size": archive.size}
    with open(f"{layer}/layer.json", "w", encoding="ascii") as file:
        json.dump(record, file, sort_keys=True, separators=(",", ":"))
    return diff_id if archive.count > 1 else ""  # the first member is the directory itself


class _Archive:
    """The archive of the open directory *top*: its *hash*, its *count* of members, and the *size* of their content."""

    def __init__(self, top: int, mark: str, omitted: Callable[[str], None], without: Collection[str]) -> None:
        self._top, self._mark, self._omitted, self._without = top, mark, omitted, without
        self.hash, self.count, self.size = hashlib.sha256(), 0, 0
        self._unwanted: list[str] = []
        self._notes: list[tuple[str, str]] = []  # files, and attributes that overlayfs has given them
        self._opaque: list[str] = []

    def read(self, recorder: Recorder) -> None:
        """Read all files, as `members.write` would write them, and record the archive."""

        def add(data: bytes) -> None:
            self.hash.update(data)
            recorder.raw(data)

        for header, data in layers.layer(self._members(), self._mark, self._omit):
            add(header.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape"))
            if header.isreg() and header.size:
                self.size += header.size
                recorder.content(os.fsencode(header.name), [(0, header.size)])
                for piece in sparse.filled(header, data):
                    self.hash.update(piece)
                add(bytes(-header.size % tarfile.BLOCKSIZE))
        add(bytes(2 * tarfile.BLOCKSIZE))

    def _members(self) -> Iterator[Member]:
        for member in members(self._top, ".", self._omit, marks=True):
            name = member.header.name
            if f"/{name}" in self._without:
                self._unwanted.append(name)
                continue
            self.count += 1
            notes = (
                key
                for key in member.header.pax_headers
                if is_note(key) and (key != self._mark or overlay_marks.refused)
            )
            self._notes += [(name, key.removeprefix(XATTR)) for key in notes]
            is_opaque = not overlay_marks.refused and member.header.pax_headers.get(self._mark) == "y"
            self._opaque += [name] if is_opaque else []
            yield member

    def _omit(self, name: str) -> None:
        self._unwanted.append(name)
        self._omitted(name)

    def clean(self) -> None:
        """Remove the files that are not in the archive, and the attributes that only the former overlay needs.

        An opaque directory gets the mark for user namespaces, too, as if it had been unpacked.
        """
        for name, key in self._notes:
            with self._opened(name) as path:
                os.removexattr(path, key)
        for name in self._opaque:
            with self._opened(name) as path:
                set_attribute_if_possible(path, USER_OPAQUE, b"y")
        for name in sorted(self._unwanted, reverse=True):  # a directory after the files in it
            self._remove(os.fsencode(name))

    @contextmanager
    def _opened(self, name: str) -> Iterator[str]:
        """Yield a path of a file of the tree, of any length."""
        fd = open_straight(self._top, os.fsencode(name), os.O_PATH)
        try:
            yield f"/proc/self/fd/{fd}"
        finally:
            os.close(fd)

    def _remove(self, name: bytes) -> None:
        """Remove a file or an empty directory; the time of its directory stays, because the archive has it."""
        folder, _, last = name.rpartition(b"/")
        parent = open_straight(self._top, folder or b".", _PLACE)
        try:
            info = os.fstat(parent)
            try:
                os.unlink(last, dir_fd=parent)
            except IsADirectoryError:
                with suppress(OSError):  # ENOTEMPTY: the archive has files of this directory
                    os.rmdir(last, dir_fd=parent)
            os.utime(parent, ns=(info.st_atime_ns, info.st_mtime_ns))
        finally:
            os.close(parent)
