"""Opening a path without being led astray: the kernel follows the links, and we say how far it may go.

A path inside a container's root is written by strangers: every link in it is a chance to lead us out to the host.
openat2(2) lets the kernel itself keep the walk below one directory. A tree of strangers may be deeper than a path can
be long, and than Python or our descriptors could follow: it is walked with one descriptor, down by a name and up by
``..``.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import stat
import time

from tinybox.errors import UnfitFileError
from tinybox.linux.abi import Syscall

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Self

RESOLVE_NO_XDEV = 0x01
RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_NO_SYMLINKS = 0x04
RESOLVE_BENEATH = 0x08
RESOLVE_IN_ROOT = 0x10

PROC_SUPER_MAGIC = 0x9FA0  # linux/magic.h
LONGEST_PATH = 4095  # bytes that a path in a system call has at most: PATH_MAX of linux/limits.h, without the zero
_open = os.open  # of tinybox's own files: --explain tells them no more than those of Python's open()
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# File systems of the kernel's own: a file in them may have no end, or make its reader wait. See *_MAGIC in statfs(2).
KERNELS_OWN = frozenset(
    (0x9FA0, 0x62656572, 0x27E0EB, 0x63677270, 0x1CD1, 0x19800202, 0xCAFE4A11, 0x64626720, 0x74726163, 0x73636673)
)
_TRIES = 128  # one walk in thirty fails while one process renames as fast as it can; libpathrs has the same number
_PAUSE = 0.05  # seconds between two tries to open a leased file


class OpenHow(ctypes.Structure):
    """``struct open_how`` of openat2(2): flags, mode and how to resolve the path."""

    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


_openat2 = Syscall("openat2", ctypes.c_int, ctypes.c_char_p, ctypes.POINTER(OpenHow), ctypes.c_size_t)
_fstatfs = Syscall("fstatfs", ctypes.c_int, ctypes.c_char_p)
_close_range = Syscall("close_range", ctypes.c_uint, ctypes.c_uint, ctypes.c_uint)


def openat2(dirfd: int, path: bytes, flags: int, resolve: int, mode: int = 0) -> int:
    """Open *path* below *dirfd* as *resolve* allows and return a close-on-exec fd; see openat2(2).

    A rename anywhere on the host while the kernel walks a ``..`` below one directory makes it answer EAGAIN. That says
    nothing about the file, so the walk is repeated; only after 128 such answers is EAGAIN raised (BlockingIOError).
    """
    how = OpenHow(flags | os.O_CLOEXEC, mode, resolve)
    for _ in range(_TRIES - 1):
        try:
            return _openat2(dirfd, path, ctypes.byref(how), ctypes.sizeof(how))
        except BlockingIOError:
            continue
    return _openat2(dirfd, path, ctypes.byref(how), ctypes.sizeof(how))


def open_at_once(path: str, flags: int, name: str = "", patience: float = 0.0) -> int:
    """Open *path*, which a box can touch, without waiting for any process of that box; see O_NONBLOCK in open(2).

    A lease would make us wait until its holder lets go, or for lease-break-time (45 s): UnfitFileError, which calls the
    file *name*, after *patience* seconds. See fcntl(2).
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
    """Open for reading the file that is open as a *place* (O_PATH in open(2)), waiting at most *patience* seconds.

    UnfitFileError, which calls the file *name*: it is no regular file, one of the kernel's own, or under a lease.
    """
    if not stat.S_ISREG(os.fstat(place).st_mode):
        raise UnfitFileError(name, "is no regular file")
    if file_system(place) in KERNELS_OWN:
        raise UnfitFileError(name, "is a file of the kernel's own", "such as those in /proc and /sys")
    return open_at_once(f"/proc/self/fd/{place}", os.O_RDONLY, name, patience)


def read_regular(place: int, name: str, most: int) -> bytes:
    """Return what is in the file that is open as a *place*; see read(2) and `open_regular`.

    UnfitFileError beyond *most* bytes: a sparse file has any length and costs its maker nothing.
    """
    with open(open_regular(place, name), "rb") as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise UnfitFileError(name, f"is larger than {most} bytes")
    return data


def exists(path: str, *, follow_symlinks: bool = True) -> bool:
    """Tell whether there is a file *path*; see stat(2). Any error but its absence is raised, unlike os.path.exists."""
    try:
        os.stat(path, follow_symlinks=follow_symlinks)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def replace(path: str, data: bytes, mode: int = 0o600) -> None:
    """Make *data* the content of the file *path*, whole or not at all: on a full disk the former file stays; rename(2).

    It is a new file of this *mode*, whatever our umask is. The caller sees to it that nobody else does so meanwhile.
    """
    draft = f"{path}.new"
    _gone(os.unlink, draft, None)  # left by a command that was killed here
    fd = _open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with open(fd, "wb") as file:
            os.fchmod(fd, mode)
            file.write(data)
        os.rename(draft, path)
    except BaseException:
        _gone(os.unlink, draft, None)
        raise


def replace_link(path: str, target: str, draft: str = "") -> None:
    """Make *path* a link to *target*, over a former link, in one step; see rename(2). It is made as *draft* first."""
    draft = draft or f"{path}.new"
    _gone(os.unlink, draft, None)
    os.symlink(target, draft)
    try:
        os.rename(draft, path)
    except BaseException:
        _gone(os.unlink, draft, None)
        raise


def close_range(first: int, last: int = 2**32 - 1) -> None:
    """Close every file descriptor from *first* to *last*; see close_range(2), Linux 5.9."""
    _close_range(first, last, 0)


def close_all_but(keep: Iterable[int]) -> None:
    """Close every file descriptor above 2 that is not in *keep*; see close_range(2)."""
    first = 3
    for fd in sorted(set(keep)):
        if fd > first:
            close_range(first, fd - 1)
        first = max(first, fd + 1)
    close_range(first)


def file_system(fd: int) -> int:
    """Return which kind of file system *fd* lies on, as a magic number: ``f_type``, the first word of statfs(2)."""
    answer = ctypes.create_string_buffer(128)  # struct statfs has 120 bytes on both machines
    _fstatfs(fd, answer)
    return int.from_bytes(answer.raw[:8], "little")


def open_straight(top: int, path: bytes, flags: int = os.O_PATH) -> int:
    """Open *path* itself, be it a link, below *top*; a link on the way is ELOOP. See openat2(2)."""
    return openat2(top, path, flags | os.O_NOFOLLOW, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS)


class Descent:
    """One open directory *fd* of a tree, moved down and up: one descriptor, however deep the tree is.

    A context manager. No link is followed. See openat(2), and path_resolution(7) for ``..``.
    """

    def __init__(self, top: int) -> None:
        self.fd = os.open(".", _FOLDER, dir_fd=top)
        self._above: list[tuple[int, int]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.fd)

    def down(self, name: str) -> bool:
        """Move to the directory *name*; False where there is none, or none any more."""
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
        """Move back to where *down* came from; ESTALE: another has moved the directory, so that ``..`` is elsewhere."""
        above = os.open("..", _FOLDER, dir_fd=self.fd)
        os.close(self.fd)
        self.fd = above
        if _identity(above) != self._above.pop():
            raise OSError(errno.ESTALE, "a directory has been moved away meanwhile")


def _identity(fd: int) -> tuple[int, int]:
    info = os.fstat(fd)
    return info.st_dev, info.st_ino


def walk(top: int, *, leaves_first: bool = False) -> Iterator[tuple[int, list[str], list[str]]]:
    """Yield each directory from the open *top* down: its fd, the names of the directories in it, and all other names.

    As os.fwalk does, for a tree of any depth; the fd is to be used before the next one. Raises ESTALE as `Descent`
    does. See readdir(3).
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
    """List the directory *fd*: the names of directories, and the others; links are among the others."""
    folders: list[str] = []
    others: list[str] = []
    with os.scandir(fd) as entries:
        for entry in entries:
            (folders if entry.is_dir(follow_symlinks=False) else others).append(entry.name)
    return folders, others


def remove_tree(path: str | bytes, dir_fd: int | None = None) -> None:
    """Remove a directory and all below it, of any depth, following no link; what is gone already is fine; unlinkat(2).

    NotADirectoryError: it is none. Another OSError names what stays: an immutable file, for one.
    """
    try:
        top = os.open(path, _FOLDER, dir_fd=dir_fd)
    except FileNotFoundError:
        return
    try:
        for fd, folders, others in walk(top, leaves_first=True):
            for name in others:
                _gone(os.unlink, name, fd)
            for name in folders:
                _gone(os.rmdir, name, fd)
        _gone(os.rmdir, path, dir_fd)
    finally:
        os.close(top)


def _gone(remove: Callable[..., None], name: str | bytes, dir_fd: int | None) -> None:
    try:
        remove(name, dir_fd=dir_fd)
    except FileNotFoundError:
        return


def is_locked(path: str, flags: int = 0) -> bool:
    """Tell whether another holds the file *path*, opened with *flags* beside O_RDONLY, for himself; see flock(2).

    To ask is to take it for a moment, together with all who ask. Raises FileNotFoundError as open(2) does.
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | flags)
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False
