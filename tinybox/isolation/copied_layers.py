"""Copied layers: the root of a box as a copy of all that its image's layers come to, where no overlay can be had.

Each file is copied, also by the kernel without its data where the file system can share it (copy_file_range(2) on btrfs
and XFS). It is no hard link to the layer's file: a write of the box would change the image. What the box has changed is
found by a comparison with the layers; see `upper`.
"""

from __future__ import annotations

import os
import stat

from tinybox.isolation.merged import Merged, opened, top_of
from tinybox.isolation.overlay_changes import compared
from tinybox.linux.filesystem import holes
from tinybox.linux.filesystem.overlay_marks import NAMED, is_note

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_FOLDER = os.O_RDONLY | os.O_DIRECTORY
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_BUFFER = 1 << 20  # bytes


def copy(layers: Sequence[str], target: str, place: str = "/") -> None:
    """Copy the directory *place* of the image with these *layers*, bottom first, into the empty directory *target*.

    Owners, modes, times, links and attributes are kept. OSError: it cannot be read or written, or there is no such
    directory in the image.
    """
    with Merged(layers) as image:
        top = os.open(target, _FOLDER | os.O_CLOEXEC)
        try:
            _Copy(image, top).walk(image.resolve(os.fsencode(place)))
        finally:
            os.close(top)


class _Copy:
    """The copy of the *image* into the open directory *top*."""

    def __init__(self, image: Merged, top: int) -> None:
        self._image, self._top = image, top
        self._links: dict[tuple[int, int], bytes] = {}  # the path of the first copy of a file with several names

    def walk(self, place: bytes) -> None:
        """Copy the directory *place* of the image; a directory gets its time after the files in it."""
        cut = len(place) + 1 if place else 0
        pending, made = [(place, self._image.levels(place))], []
        while pending:
            path, levels = pending.pop()
            here = opened(self._top, path[cut:], _FOLDER)
            source = top_of(levels, path)
            if here is None or source is None:
                raise FileNotFoundError(f"/{os.fsdecode(path)}")
            made.append((path[cut:], os.fstat(source)))
            _copy_attributes(source, here)
            os.close(source)
            for name in self._image.names(levels, path):
                below = path + b"/" + os.fsencode(name) if path else os.fsencode(name)
                if self._put(levels, below, here, below[cut:]):
                    pending.append((below, self._image.inside(levels, below)))
            os.close(here)
        for path, info in reversed(made):
            here = opened(self._top, path, _FOLDER)
            if here is not None:
                os.utime(here, ns=(info.st_atime_ns, info.st_mtime_ns))
                os.close(here)

    def _put(self, levels: Sequence[int], path: bytes, here: int, where: bytes) -> bool:
        """Copy the file *path* of the image into the open directory *here*; return whether it is a directory."""
        source, name = top_of(levels, path), os.path.basename(path)
        if source is None:
            return False
        try:
            info = os.fstat(source)
            first = self._links.setdefault((info.st_dev, info.st_ino), where) if info.st_nlink > 1 else where
            if stat.S_ISDIR(info.st_mode):
                os.mkdir(name, 0o700, dir_fd=here)
                return True
            if first != where:
                self._link(first, name, here)
            elif stat.S_ISREG(info.st_mode):
                _copy_file(source, info, here, name)
            else:
                _copy_special(source, info, here, name)
        finally:
            os.close(source)
        return False

    def _link(self, first: bytes, name: bytes, here: int) -> None:
        folder = opened(self._top, os.path.dirname(first), _FOLDER)
        if folder is not None:
            os.link(os.path.basename(first), name, src_dir_fd=folder, dst_dir_fd=here, follow_symlinks=False)
            os.close(folder)


def _copy_file(source: int, info: os.stat_result, here: int, name: bytes) -> None:
    """Copy a regular file with its holes; see copy_file_range(2)."""
    reader = os.open(f"/proc/self/fd/{source}", os.O_RDONLY | os.O_CLOEXEC)
    writer = os.open(name, _NEW, 0o600, dir_fd=here)
    try:
        for start, length in holes.spans(reader, info.st_size):
            _copy_part(reader, writer, start, length)
        os.ftruncate(writer, info.st_size)
        _copy_attributes(source, writer)
        os.utime(writer, ns=(info.st_atime_ns, info.st_mtime_ns))
    finally:
        os.close(reader)
        os.close(writer)


def _copy_part(reader: int, writer: int, start: int, length: int) -> None:
    end = start + length
    while start < end:
        try:
            done = os.copy_file_range(reader, writer, end - start, start, start)
        except OSError:  # a file system that cannot, or an older kernel
            done = os.pwrite(writer, os.pread(reader, min(_BUFFER, end - start), start), start)
        if not done:
            return
        start += done


def _copy_special(source: int, info: os.stat_result, here: int, name: bytes) -> None:
    """Copy a symbolic link or a fifo: a layer has no other files."""
    if stat.S_ISLNK(info.st_mode):
        os.symlink(os.readlink(b"", dir_fd=source), name, dir_fd=here)
    else:
        os.mkfifo(name, dir_fd=here)
        os.chmod(name, stat.S_IMODE(info.st_mode), dir_fd=here)
    os.chown(name, info.st_uid, info.st_gid, dir_fd=here, follow_symlinks=False)
    os.utime(name, ns=(info.st_atime_ns, info.st_mtime_ns), dir_fd=here, follow_symlinks=False)


def _copy_attributes(source: int, target: int) -> None:
    """Copy owner, attributes and mode, in this order: chown(2) removes setuid and capabilities; see xattr(7)."""
    info, path = os.fstat(source), f"/proc/self/fd/{source}"
    os.fchown(target, info.st_uid, info.st_gid)
    for name in os.listxattr(path):
        if not is_note(name):
            try:
                os.setxattr(target, name, os.getxattr(path, name))
            except OSError:  # such as a label, which this file system or this user has not
                continue
    os.fchmod(target, stat.S_IMODE(info.st_mode))


def upper(layers: Sequence[str], root: str, target: str) -> None:
    """Make in the empty directory *target* what an overlay of *layers* would have in its upper directory.

    *root* is the copy that a box has changed, and may be changing. A changed file becomes a hard link to the box's: so
    nothing is copied, and *target* must be on the same file system. A file is changed if its kind, mode, owner, size or
    time is another one; a deleted file becomes a mark ``.wh.NAME``. See link(2).
    """
    with Merged(layers) as image:
        tops = [os.open(path, _FOLDER | os.O_CLOEXEC) for path in (root, target)]
        try:
            _Comparison(image, *tops).walk()
        finally:
            for fd in tops:
                os.close(fd)


class _Comparison:
    """The comparison of the open directory *top* with the *image*; the differences go to the directory *target*."""

    def __init__(self, image: Merged, top: int, target: int) -> None:
        self._image, self._top, self._target = image, top, target
        self._made: dict[bytes, os.stat_result] = {}
        self._open = (b"", os.dup(target))  # the directory of *target* that was used last

    def walk(self) -> None:
        """Compare all directories; one of *target* is made when there is a difference in it."""
        pending = [(b"", self._image.root)]
        _copy_attributes(self._top, self._target)
        while pending:
            path, levels = pending.pop()
            here = opened(self._top, path, _FOLDER)
            if here is None:
                continue
            try:
                pending += self._compare(path, levels, here)
            finally:
                os.close(here)
        os.close(self._open[1])
        for path, info in sorted(self._made.items(), reverse=True):
            made = opened(self._target, path, _FOLDER)
            if made is not None:
                os.utime(made, ns=(info.st_atime_ns, info.st_mtime_ns))
                os.close(made)

    def _compare(self, path: bytes, levels: list[int], here: int) -> list[tuple[bytes, list[int]]]:
        """Compare the files of the open directory *here*; return the directories in it, with their layers."""
        names, found = os.listdir(here), []
        for name in (name for name in names if not name.startswith(NAMED)):  # no layer can have such a file
            place = path + b"/" + os.fsencode(name) if path else os.fsencode(name)
            try:
                info = os.stat(name, dir_fd=here, follow_symlinks=False)
                under = self._image.seen(levels, place) if levels else None
                is_changed = under is None or compared(info) != compared(under)
                if stat.S_ISDIR(info.st_mode):
                    if is_changed:
                        self._folder(place)
                    found.append((place, self._image.inside(levels, place) if levels else []))
                elif is_changed:
                    os.link(name, name, src_dir_fd=here, dst_dir_fd=self._folder(path), follow_symlinks=False)
            except FileNotFoundError:  # the box has just removed it
                continue
        for name in self._image.names(levels, path).difference(names) if levels else ():
            os.close(os.open(f"{NAMED}{name}", _NEW, 0o600, dir_fd=self._folder(path)))
        return found

    def _folder(self, path: bytes) -> int:
        """Return the open directory *path* of the target, made with those above it; FileNotFoundError: it is gone."""
        if self._open[0] != path:
            parts = path.split(b"/")
            for length in range(1, len(parts) + 1):
                place = b"/".join(parts[:length])
                if path and place not in self._made:
                    self._make(place)
            made = opened(self._target, path, _FOLDER)
            if made is None:
                raise FileNotFoundError(f"/{os.fsdecode(path)}")
            os.close(self._open[1])
            self._open = (path, made)
        return self._open[1]

    def _make(self, path: bytes) -> None:
        source, parent = opened(self._top, path, _FOLDER), opened(self._target, os.path.dirname(path), _FOLDER)
        if source is None or parent is None:
            raise FileNotFoundError(f"/{os.fsdecode(path)}")
        try:
            os.mkdir(os.path.basename(path), 0o700, dir_fd=parent)
            made = os.open(os.path.basename(path), _FOLDER | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
            _copy_attributes(source, made)
            os.close(made)
            self._made[path] = os.fstat(source)
        finally:
            os.close(source)
            os.close(parent)
