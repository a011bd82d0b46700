"""The null device of a container, /dev/null, opened for its streams and over masked paths; see null(4).

An image or a volume may have put another file in its place: so it is checked before it is used.
"""

from __future__ import annotations

import fcntl
import os
import stat

from tinybox.errors import TinyboxError
from tinybox.linux.filesystem import files, inside

NUMBERS = 1, 3  # major and minor
_FIONBIO = 0x5421  # O_NONBLOCK on or off; see ioctl_tty(2)


def open_own() -> int:
    """Open this root's /dev/null; TinyboxError: it is not the character device 1:3, or is a link (CVE-2025-31133)."""
    fd = os.open("/dev/null", os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    return _checked_null(fd)


def open_below(root: bytes) -> int:
    """Open the /dev/null of the container at *root* for reading and writing; see openat2(2).

    TinyboxError: it is missing or not the null device. O_NONBLOCK and O_NOCTTY, because the container may have replaced
    it by a pipe, which would block, or a terminal, which would become this process's controlling terminal.
    """
    try:
        with inside.Root(root) as rootfd:
            resolve = files.RESOLVE_IN_ROOT | files.RESOLVE_NO_MAGICLINKS
            fd = files.openat2(rootfd, b"/dev/null", os.O_RDWR | os.O_NONBLOCK | os.O_NOCTTY, resolve)
    except OSError as error:
        raise TinyboxError("/dev/null", f"{(error.strerror or '').lower()} in the box") from error
    fcntl.ioctl(_checked_null(fd), _FIONBIO, bytes(4))
    return fd


def is_null(info: os.stat_result) -> bool:
    """Return whether a file with the stat *info* is the null device, under any name; see null(4)."""
    return stat.S_ISCHR(info.st_mode) and info.st_rdev == os.makedev(*NUMBERS)


def _checked_null(fd: int) -> int:
    if not is_null(os.fstat(fd)):
        os.close(fd)
        raise TinyboxError("/dev/null", "is not the null device", "the image or a volume has replaced it")
    return fd
