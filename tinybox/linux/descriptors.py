"""Close ranges of file descriptors: close_range(2), and what stands in for it where a filter refuses the call."""

from __future__ import annotations

import ctypes
import errno
import os

from tinybox.errors import SyscallError
from tinybox.linux.abi import Syscall

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

NOT_OFFERED = (errno.ENOSYS, errno.EPERM)  # what filters answer for calls that are newer than they

_close_range = Syscall("close_range", ctypes.c_uint, ctypes.c_uint, ctypes.c_uint)


def close_range(first: int, last: int = 2**32 - 1) -> None:
    """Close every file descriptor from *first* to *last*; see close_range(2), Linux 5.9.

    Where a filter of an outer container refuses that call, /proc lists the descriptors, and close(2) closes each.
    """
    try:
        _close_range(first, last, 0)
    except SyscallError as error:
        if error.errno not in NOT_OFFERED:
            raise
        for name in os.listdir("/proc/self/fd"):
            if first <= int(name) <= last:
                _close_if_open(int(name))


def _close_if_open(fd: int) -> None:
    try:
        os.close(fd)
    except OSError:  # EBADF: it was that of the listed directory
        return


def close_all_but(keep: Iterable[int]) -> None:
    """Close every file descriptor above 2 that is not in *keep*; see close_range(2)."""
    first = 3
    for fd in sorted(set(keep)):
        if fd > first:
            close_range(first, fd - 1)
        first = max(first, fd + 1)
    close_range(first)
