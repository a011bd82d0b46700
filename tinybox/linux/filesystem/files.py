"""Safe file access: open, walk and remove paths of a container without leaving its root by a link; openat2(2).

A program in the container, or the author of the image, chooses the paths and the links: each link may lead out to the
host. openat2(2) lets the kernel itself keep the path resolution below one directory. A directory tree may also be
deeper than PATH_MAX, Python's recursion limit or the limit of open files allows. So `walk` has one directory open at a
time: it goes down by a name and up by ``..``.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import time

from tinybox.errors import UnfitFileError
from tinybox.linux.abi import Syscall
from tinybox.linux.filesystem import descriptors, own_files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

RESOLVE_NO_XDEV = 0x01
RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_NO_SYMLINKS = 0x04
RESOLVE_BENEATH = 0x08
RESOLVE_IN_ROOT = 0x10

LONGEST_PATH = 4095  # bytes, the longest path of a system call: PATH_MAX of linux/limits.h, without the zero
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_TRIES = 128  # one openat2(2) in thirty fails while a process renames in a loop; libpathrs has the same number
_PAUSE = 0.05  # seconds between two tries to open a leased file


class OpenHow(ctypes.Structure):
    """``struct open_how`` of openat2(2): flags, mode and how to resolve the path."""

    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


_openat2 = Syscall("openat2", ctypes.c_int, ctypes.c_char_p, ctypes.POINTER(OpenHow), ctypes.c_size_t)
close_range, close_all_but, file_system = descriptors.close_range, descriptors.close_all_but, descriptors.file_system
PROC_SUPER_MAGIC, KERNELS_OWN = descriptors.PROC_SUPER_MAGIC, descriptors.KERNELS_OWN
replace, replace_link, discard = own_files.replace, own_files.replace_link, own_files.discard
content, write_all, write_once = own_files.content, own_files.write_all, own_files.write_once


def openat2(dirfd: int, path: bytes, flags: int, resolve: int, mode: int = 0) -> int:
    """Open *path* below *dirfd* as *resolve* allows and return a close-on-exec fd; see openat2(2).

    The kernel returns EAGAIN if any file on the host is renamed while it resolves a ``..`` below *dirfd*. This does not
    depend on the file, so the call is repeated; EAGAIN (BlockingIOError) is raised after 128 failures.
    """
    how = OpenHow(flags | os.O_CLOEXEC, mode, resolve)
    for _ in range(_TRIES - 1):
        try:
            return _openat2(dirfd, path, ctypes.byref(how), ctypes.sizeof(how))
        except BlockingIOError:
            continue
    return _openat2(dirfd, path, ctypes.byref(how), ctypes.sizeof(how))


def open_at_once(path: str, flags: int, name: str = "", patience: float = 0.0) -> int:
    """Open *path*, to which a container has access, without waiting for a container's process; O_NONBLOCK, open(2).

    A lease on the file would block a normal open until its holder releases it, or for lease-break-time (45 s).
    UnfitFileError: the lease is still there after *patience* seconds; the error calls the file *name*. See fcntl(2).
    """
    deadline = time.monotonic() + patience
    while True:
        try:
            return os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)
        except BlockingIOError as error:
            if time.monotonic() >= deadline:
                cause = "a process holds a lease on it"
                raise UnfitFileError(name or path, cause, "/proc/locks names the process") from error
        time.sleep(_PAUSE)


def open_regular(place: int, name: str, patience: float = 0.0) -> int:
    """Open for reading the file of the O_PATH descriptor *place*, and return the new fd; see O_PATH in open(2).

    UnfitFileError, which calls the file *name*: it is not a regular file, it lies in a file system such as proc, or a
    lease on it was not released within *patience* seconds.
    """
    if not stat.S_ISREG(os.fstat(place).st_mode):
        raise UnfitFileError(name, "is not a regular file")
    if file_system(place) in KERNELS_OWN:
        raise UnfitFileError(name, "is a file of the kernel", "such as those in /proc and /sys")
    return open_at_once(f"/proc/self/fd/{place}", os.O_RDONLY, name, patience)


def read_regular(place: int, name: str, most: int) -> bytes:
    """Return the content of the file of the O_PATH descriptor *place*; see read(2) and `open_regular`.

    UnfitFileError: as in `open_regular`, or the file has more than *most* bytes. A container can make a sparse file of
    any length without using disk space.
    """
    data = content(open_regular(place, name), most + 1)
    if len(data) > most:
        raise UnfitFileError(name, f"is larger than {most} bytes")
    return data


def exists(path: str, *, follow_symlinks: bool = True) -> bool:
    """Return whether the file *path* exists; see stat(2). Unlike os.path.exists, it raises any error but absence."""
    try:
        os.stat(path, follow_symlinks=follow_symlinks)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def open_straight(top: int, path: bytes, flags: int = os.O_PATH) -> int:
    """Open *path* below the directory *top*; ELOOP: a directory in it is a link. See openat2(2).

    A link at the end of the path is not followed: with O_PATH the link itself is opened.
    """
    return openat2(top, path, flags | os.O_NOFOLLOW, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS)


class Descent:
    """The current directory *fd* of a walk in a tree, moved down and up: one descriptor for a tree of any depth.

    It is a context manager. It follows no link. See openat(2), and path_resolution(7) for ``..``.
    """

    def __init__(self, top: int) -> None:
        self.fd = os.open(".", _FOLDER, dir_fd=top)
        self._above: list[tuple[int, int]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.fd)

    def down(self, name: str) -> bool:
        """Move to the directory *name*; return False if there is no such directory, or it was removed."""
        try:
            below = os.open(name, _FOLDER, dir_fd=self.fd)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                return False
            raise
        self._above.append(_identity(self.fd))
        os.close(self.fd)
        self.fd = below
        return True

    def up(self) -> None:
        """Move to the parent directory; ESTALE: a process has moved the directory, and ``..`` is another one now."""
        above = os.open("..", _FOLDER, dir_fd=self.fd)
        os.close(self.fd)
        self.fd = above
        if _identity(above) != self._above.pop():
            raise OSError(errno.ESTALE, "a directory was moved away while it was read")


def _identity(fd: int) -> tuple[int, int]:
    info = os.fstat(fd)
    return info.st_dev, info.st_ino


def walk(top: int, *, leaves_first: bool = False) -> Iterator[tuple[int, list[str], list[str]]]:
    """Yield each directory of the tree *top*: its fd, the names of the directories in it, and all other names.

    It is os.fwalk for a tree of any depth. The fd is valid only until the next directory. ESTALE: see `Descent.up`.
    See readdir(3).
    """
    with Descent(top) as here:
        ways = [_names(here.fd)]
        pending = [iter(ways[0][0])]
        if not leaves_first:
            yield (here.fd, *ways[-1])
        while pending:
            name = next(pending[-1], None)
            if name is None:
                if leaves_first:
                    yield (here.fd, *ways[-1])
                pending.pop()
                ways.pop()
                if pending:
                    here.up()
            elif here.down(name):
                ways.append(_names(here.fd))
                pending.append(iter(ways[-1][0]))
                if not leaves_first:
                    yield (here.fd, *ways[-1])


def _names(fd: int) -> tuple[list[str], list[str]]:
    """Return the names of the directories in the directory *fd*, and all other names; a link is among the others."""
    folders: list[str] = []
    others: list[str] = []
    with os.scandir(fd) as entries:
        for entry in entries:
            (folders if entry.is_dir(follow_symlinks=False) else others).append(entry.name)
    return folders, others


def remove_tree(path: str | bytes, dir_fd: int | None = None) -> None:
    """Remove the directory *path* and all below it, of any depth, following no link; see unlinkat(2).

    A file that does not exist is no error. NotADirectoryError: *path* is not a directory. Any other OSError has the
    name of the file that cannot be removed, such as an immutable one. An empty directory is removed without a look.
    """
    try:
        top = os.open(path, _FOLDER, dir_fd=dir_fd)
    except FileNotFoundError:
        return
    try:
        with Descent(top) as here:
            left, way = [_without_files(here.fd)], list[str]()  # directories still to remove, on each level of the way
            while left:
                if left[-1]:
                    name = left[-1].pop()
                    if not _is_removed(name, here.fd) and here.down(name):
                        way.append(name)
                        left.append(_without_files(here.fd))
                else:
                    left.pop()
                    if way:
                        here.up()
                        discard(way.pop(), here.fd, os.rmdir)
        discard(path, dir_fd, os.rmdir)
    finally:
        os.close(top)


def _without_files(fd: int) -> list[str]:
    """Remove all files in the directory *fd*, and return the names of the directories in it."""
    folders, others = _names(fd)
    for name in others:
        discard(name, fd)
    return folders


def _is_removed(name: str, fd: int) -> bool:
    """Remove the directory *name* in *fd* if it is empty, and return whether it is gone; see ENOTEMPTY in rmdir(2)."""
    try:
        discard(name, fd, os.rmdir)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            return False
        raise
    return True
