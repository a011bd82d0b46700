"""Make the files of an untrusted archive in a directory, which no member can leave by ``..`` or by a link.

An archive may have a link and then a file behind that link. So no path is built from strings: the parent of each new
file is opened with openat2(2) and RESOLVE_IN_ROOT, and the file is made in that open directory. A link such as
``/var/run -> /run`` leads to where it leads in a system with this root.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING

from tinybox.errors import ImageError
from tinybox.images.archives import sparse, whiteouts
from tinybox.images.archives.metadata import apply, set_owner, times
from tinybox.linux.filesystem import holes, inside
from tinybox.linux.filesystem.files import (
    LONGEST_PATH,
    RESOLVE_IN_ROOT,
    RESOLVE_NO_MAGICLINKS,
    openat2,
    remove_tree,
)

if TYPE_CHECKING:
    import tarfile
    from collections.abc import Callable, Iterable
    from typing import Self

    from tinybox.images.original import Recorder

    Maker = Callable[[int, bytes, tarfile.TarInfo], None]

ENTRIES_MAX = 1_000_000
KEPT_MAX = 1 << 26  # bytes of names and attributes of directories, which stay in memory until the end
KINDS = "a file, directory, symbolic link, hard link or fifo"


def parts_of(name: str) -> tuple[bytes, ...]:
    """Split a member's *name* into its parts; ImageError: it is absolute, has ``..`` or a zero byte, or is too long."""
    raw = name.encode("utf-8", "surrogateescape")
    parts = tuple(part for part in raw.split(b"/") if part not in {b"", b"."})
    if raw.startswith(b"/"):
        raise ImageError("", "its name is absolute", "make the archive with relative names, as tar does")
    if b".." in parts:
        raise ImageError("", "its name leads outside with '..'", "the archive is unsafe")
    if len(b"/".join(parts)) > LONGEST_PATH:
        cause = f"its path is longer than {LONGEST_PATH} bytes"
        raise ImageError("", cause, "no program could open it: make the archive without it")
    if b"\0" in raw:
        raise ImageError("", "its name has a zero byte in it", "the archive is unsafe")
    return parts


class Tree:
    """A context manager with the open directory *path*, for the members of one archive.

    If two members have the same name, the later one replaces the first, as in tar(1). Owners are set if this process is
    root, as in tar(1).
    """

    is_layer = True  # where names such as .wh.NAME mean that NAME is hidden

    def __init__(self, path: str) -> None:
        self._root = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        self._entries = 0
        self._kept = 0
        self._directories: dict[bytes, tarfile.TarInfo] = {}
        self._marks = whiteouts.Marks()
        self.recorder: Recorder | None = None  # it is told about the content of files, and keeps replaced files

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._root)

    def add(self, member: tarfile.TarInfo, data: Iterable[bytes]) -> None:
        """Make the file of *member*, with the content *data*; ImageError: it is unsafe; OSError: it cannot be made."""
        parts = parts_of(member.name)
        self._count()
        if member.isdir() and not parts:
            self._keep(b"", member)
            return
        if not parts:
            raise ImageError("", "the root is not a directory", "the archive is unsafe")
        parent = self._parent(parts[:-1])
        try:
            self._put(parent, parts, member, data)
        finally:
            os.close(parent)

    def end(self) -> None:
        """Remove what the archive needed, but a layer does not have; call this after all members.

        That are AUFS's own files, and whiteouts in opaque directories, which overlayfs would show as broken files.
        """
        self._marks.finish(self._root)
        for name in self._marks.aufs:
            self._clear(self._root, name)

    def directories(self) -> list[tarfile.TarInfo]:
        """Return the directories of the archive, the last one first, to call `finish` for each after all members."""
        return list(reversed(self._directories.values()))

    def finish(self, directory: tarfile.TarInfo) -> None:
        """Set the owner, mode and time of *directory*, after its files, which would change its time."""
        try:
            fd = self._open(parts_of(directory.name), os.O_NOFOLLOW)
        except OSError as error:
            if error.errno in whiteouts.REPLACED:
                return
            raise
        try:
            apply(fd, directory)
        finally:
            os.close(fd)

    def _put(self, parent: int, parts: tuple[bytes, ...], member: tarfile.TarInfo, data: Iterable[bytes]) -> None:
        name = parts[-1]
        if self.is_layer and len(parts) > 1 and parts[0].startswith(whiteouts.AUFS):
            self._marks.aufs.add(parts[0])
        if self.is_layer and name.startswith(whiteouts.WHITEOUT):
            self._keep_bytes(sum(map(len, parts)))
            self._marks.add(parent, parts)
        elif member.isdir():
            self._make_directory(parent, parts)
            self._keep(b"/".join(parts), member)
        elif member.isreg():
            self._make_file(parent, name, member, data)
        elif member.issym():
            self._clear(parent, name)
            _make_symlink(parent, name, member)
        elif member.islnk():
            self._make_link(parent, name, member)
        elif member.isfifo():
            self._clear(parent, name)
            _make_fifo(parent, name, member)
        else:
            raise _refusal(member)

    def _keep(self, path: bytes, directory: tarfile.TarInfo) -> None:
        """Keep the headers of a *directory* until `finish`."""
        self._keep_bytes(len(path) + sum(map(len, directory.pax_headers.values())))
        self._directories[path] = directory

    def _keep_bytes(self, count: int) -> None:
        self._kept += count
        if self._kept > KEPT_MAX:
            cause = f"the names and attributes of the archive's directories take more than {KEPT_MAX >> 20} MiB"
            raise ImageError("", cause, "the archive is unsafe")

    def _make_file(self, parent: int, name: bytes, member: tarfile.TarInfo, data: Iterable[bytes]) -> None:
        """Make the regular file *name*, with its holes; in a layer, blocks of zeros are holes as well."""
        parts = sparse.parts(member)
        self._clear(parent, name)
        fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=parent)
        try:
            holes.put(fd, member.size, parts, data, finds_zeros=self.is_layer)
            if self.recorder is not None and member.size:
                self.recorder.file(parent, name, parts)
            apply(fd, member)
        finally:
            os.close(fd)

    def _make_link(self, parent: int, name: bytes, member: tarfile.TarInfo) -> None:
        """Make *name* a hard link to an earlier file of the archive; see linkat(2)."""
        target = parts_of(member.linkname)
        if not target:
            raise ImageError("", "it is a hard link to the root", "the archive is unsafe")
        directory = self._open(target[:-1])
        try:
            if self._is_whiteout(directory, target[-1]):
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
            self._clear(parent, name)
            os.link(target[-1], name, src_dir_fd=directory, dst_dir_fd=parent, follow_symlinks=False)
        finally:
            os.close(directory)

    def _parent(self, parts: tuple[bytes, ...]) -> int:
        """Open the directory *parts*, and make missing ones, because an archive need not contain every directory."""
        try:
            return self._open(parts)
        except (FileNotFoundError, NotADirectoryError):
            self._make_missing(parts)
        return self._open(parts)

    def _make_missing(self, parts: tuple[bytes, ...]) -> None:
        """Make the missing directories of *parts*; one that this layer has hidden becomes opaque."""
        while True:
            try:
                inside.make(self._root, b"/".join(parts), before=self._count)
            except NotADirectoryError:
                self._replace_whiteout(parts)
            else:
                return

    def _replace_whiteout(self, parts: tuple[bytes, ...]) -> None:
        """Make a directory of the first whiteout among *parts*; NotADirectoryError: another file is in the way."""
        depth = self._depth(parts)
        parent = self._open(parts[:depth])
        try:
            if not self._is_whiteout(parent, parts[depth]):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
            self._make_directory(parent, parts[: depth + 1])
            os.chmod(parts[depth], 0o755, dir_fd=parent)  # with any umask
        finally:
            os.close(parent)

    def _depth(self, parts: tuple[bytes, ...]) -> int:
        """Return how many of the directories *parts* exist, by binary search: a path may have two thousand parts."""
        there, missing = 0, len(parts)
        while missing - there > 1:
            middle = (there + missing) // 2
            try:
                os.close(self._open(parts[:middle]))
                there = middle
            except (FileNotFoundError, NotADirectoryError):
                missing = middle
        return there

    def _open(self, parts: tuple[bytes, ...], flags: int = 0) -> int:
        """Open the directory *parts*; a link on the way leads to where it leads inside this root; see openat2(2)."""
        flags |= os.O_RDONLY | os.O_DIRECTORY
        return openat2(self._root, b"/".join(parts) or b".", flags, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)

    def _make_directory(self, parent: int, parts: tuple[bytes, ...]) -> None:
        """Make the directory *parts* in the open directory *parent*, or keep an existing one.

        In place of a whiteout or a file of this layer it is opaque: that has replaced the lower layers' directory.
        """
        name = parts[-1]
        mode = whiteouts.mode_of(parent, name)
        if stat.S_ISDIR(mode):
            return
        is_whiteout = self._is_whiteout(parent, name)
        self._clear(parent, name)
        os.mkdir(name, dir_fd=parent)  # finish() sets its mode
        if is_whiteout:
            self._marks.hide(parent, parts)
        elif mode and self.is_layer:
            with suppress(ImageError):  # a file system without the mark cannot have lower layers, either
                self._marks.hide(parent, parts)

    def _clear(self, parent: int, name: bytes) -> None:
        """Remove the file *name* of an earlier member; a link is removed, never followed."""
        mode = whiteouts.mode_of(parent, name)
        has_content = stat.S_ISDIR(mode) or stat.S_ISREG(mode)
        if has_content and self.recorder is not None and self.recorder.take(parent, name):
            return
        if stat.S_ISDIR(mode):
            remove_tree(name, parent)
        elif mode:
            os.unlink(name, dir_fd=parent)

    def _is_whiteout(self, parent: int, name: bytes) -> bool:
        """Return whether *name* is a whiteout of this layer; no other device is ever made in a layer."""
        return self.is_layer and whiteouts.is_whiteout(whiteouts.mode_of(parent, name))

    def _count(self) -> None:
        self._entries += 1
        if self._entries > ENTRIES_MAX:
            raise ImageError("", f"the archive has more than {ENTRIES_MAX} entries", "the archive is unsafe")


def _make_symlink(parent: int, name: bytes, member: tarfile.TarInfo) -> None:
    """Make the symbolic link with an unchanged target, which only the container resolves."""
    os.symlink(member.linkname.encode("utf-8", "surrogateescape"), name, dir_fd=parent)
    set_owner(name, member, dir_fd=parent, follow_symlinks=False)
    os.utime(name, ns=times(member), dir_fd=parent, follow_symlinks=False)


def _make_fifo(parent: int, name: bytes, member: tarfile.TarInfo) -> None:
    os.mkfifo(name, 0o600, dir_fd=parent)
    fd = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW, dir_fd=parent)
    try:
        apply(fd, member)
    finally:
        os.close(fd)


def _refusal(member: tarfile.TarInfo) -> ImageError:
    if member.ischr() or member.isblk():
        return ImageError("", "it is a device node", "leave /dev out of the archive: tar --exclude='./dev/*'")
    return ImageError("", f"it is not {KINDS}", "the archive is unsafe")
