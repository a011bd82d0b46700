"""File descriptors: ask for the file system of one, and close those that are not needed.

close_range(2) and faccessat2(2) are newer than some seccomp filters: inside of an outer container that refuses them,
older calls are used.
"""

from __future__ import annotations

import ctypes
import errno
import os

from tinybox.errors import SyscallError
from tinybox.linux.abi import Syscall

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_AT_FDCWD, _AT_EACCESS = -100, 0x200
PROC_SUPER_MAGIC = 0x9FA0  # linux/magic.h
# File systems such as proc and sysfs: a file there may have no end, or may block its reader. See *_MAGIC in statfs(2).
KERNELS_OWN = frozenset(
    (0x9FA0, 0x62656572, 0x27E0EB, 0x63677270, 0x1CD1, 0x19800202, 0xCAFE4A11, 0x64626720, 0x74726163, 0x73636673)
)
_NOT_OFFERED = (errno.ENOSYS, errno.EPERM)  # what filters answer for calls that are newer than they

_fstatfs = Syscall("fstatfs", ctypes.c_int, ctypes.c_char_p)
_close_range = Syscall("close_range", ctypes.c_uint, ctypes.c_uint, ctypes.c_uint)
_faccessat2 = Syscall("faccessat2", ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_int)


def file_system(fd: int) -> int:
    """Return the type of the file system of *fd*, as a magic number: ``f_type``, the first field of statfs(2)."""
    answer = ctypes.create_string_buffer(128)  # struct statfs has 120 bytes on both machines
    _fstatfs(fd, answer)
    return int.from_bytes(answer.raw[:8], "little")


def close_range(first: int, last: int = 2**32 - 1) -> None:
    """Close every file descriptor from *first* to *last*; see close_range(2), Linux 5.9.

    Where a filter of an outer container refuses that call, /proc lists the descriptors, and close(2) closes each.
    """
    try:
        _close_range(first, last, 0)
    except SyscallError as error:
        if error.errno not in _NOT_OFFERED:
            raise
        for name in os.listdir("/proc/self/fd"):
            if first <= int(name) <= last:
                _close_if_open(int(name))


def keep_only(kept: Iterable[int]) -> None:
    """Close all file descriptors but *kept*; 0, 1 and 2 become /dev/null; see close_range(2) and null(4)."""
    devnull = os.open(os.devnull, os.O_RDWR)
    for fd in range(3):
        os.dup2(devnull, fd)
    first = 3
    for fd in sorted(fd for fd in kept if fd > 2):
        if fd > first:
            close_range(first, fd - 1)
        first = fd + 1
    close_range(first)


def _close_if_open(fd: int) -> None:
    try:
        os.close(fd)
    except OSError:  # EBADF: it was that of the listed directory
        return


def open_now() -> dict[int, tuple[int, int]]:
    """Return the open descriptors above 2 with the device and inode of each: see proc_pid_fd(5) and fstat(2)."""
    found = {}
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2:
            try:
                info = os.fstat(int(name))
            except OSError:  # that of this directory, or one that another thread has just closed
                continue
            found[int(name)] = (info.st_dev, info.st_ino)
    return found


def close_those(former: dict[int, tuple[int, int]]) -> None:
    """Close the descriptors that `open_now` has returned, except those that are another file by now; see close(2)."""
    there = open_now()
    for fd, identity in former.items():
        if there.get(fd) == identity:
            _close_if_open(fd)


def close_all_but(keep: Iterable[int]) -> None:
    """Close every file descriptor above 2 that is not in *keep*; see close_range(2)."""
    first = 3
    for fd in sorted(set(keep)):
        if fd > first:
            close_range(first, fd - 1)
        first = max(first, fd + 1)
    close_range(first)


def may_execute(path: str) -> bool:
    """Return whether this process may execute the file *path*, by its effective ids and capabilities; faccessat2(2).

    Where a filter of an outer container refuses that call, access(2) answers, by the real ids and permitted set.
    """
    try:
        _faccessat2(_AT_FDCWD, os.fsencode(path), os.X_OK, _AT_EACCESS)
    except SyscallError as error:
        return error.errno in _NOT_OFFERED and os.access(path, os.X_OK)
    return True
