"""Opening a path without being led astray: the kernel follows the links, and we say how far it may go.

A path inside a container's root is written by strangers: every link in it is a chance to lead us out to the host.
openat2(2) lets the kernel itself keep the walk below one directory.
"""

from __future__ import annotations

import ctypes
import fcntl
import os

from tinybox.linux.abi import Syscall

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

RESOLVE_NO_XDEV = 0x01
RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_NO_SYMLINKS = 0x04
RESOLVE_BENEATH = 0x08
RESOLVE_IN_ROOT = 0x10

PROC_SUPER_MAGIC = 0x9FA0  # linux/magic.h


class OpenHow(ctypes.Structure):
    """``struct open_how`` of openat2(2): flags, mode and how to resolve the path."""

    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


_openat2 = Syscall("openat2", ctypes.c_int, ctypes.c_char_p, ctypes.POINTER(OpenHow), ctypes.c_size_t)
_fstatfs = Syscall("fstatfs", ctypes.c_int, ctypes.c_char_p)
_close_range = Syscall("close_range", ctypes.c_uint, ctypes.c_uint, ctypes.c_uint)


def openat2(dirfd: int, path: bytes, flags: int, resolve: int, mode: int = 0) -> int:
    """Open *path* below *dirfd* as *resolve* allows and return a close-on-exec fd; see openat2(2)."""
    how = OpenHow(flags | os.O_CLOEXEC, mode, resolve)
    return _openat2(dirfd, path, ctypes.byref(how), ctypes.sizeof(how))


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
