"""Copy-up: what lies in a directory is copied into the empty file system that is going to cover it.

Both sides are open directories and every name is opened beside the one before it, so no link on the way is followed.
"""

from __future__ import annotations

import os
import stat

_PIECE = 1 << 20  # bytes


def copy_directory(source: int, target: int) -> None:
    """Copy all that is below the directory *source*, owners and modes too, into *target*; both fds; see openat(2).

    Devices and sockets stay behind.
    """
    reading = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=source)
    try:
        for name in os.listdir(reading):
            _copy(name, reading, target)
    finally:
        os.close(reading)


def _copy(name: str, source: int, target: int) -> None:
    info = os.stat(name, dir_fd=source, follow_symlinks=False)
    if stat.S_ISLNK(info.st_mode):
        os.symlink(os.readlink(name, dir_fd=source), name, dir_fd=target)
        os.chown(name, info.st_uid, info.st_gid, dir_fd=target, follow_symlinks=False)
        return
    if stat.S_ISDIR(info.st_mode):
        os.mkdir(name, 0o700, dir_fd=target)
    elif stat.S_ISREG(info.st_mode):
        os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=target))
    elif stat.S_ISFIFO(info.st_mode):
        os.mkfifo(name, 0o600, dir_fd=target)
    else:
        return
    if not stat.S_ISFIFO(info.st_mode):
        _copy_content(name, source, target, directory=stat.S_ISDIR(info.st_mode))
    os.chown(name, info.st_uid, info.st_gid, dir_fd=target)
    os.chmod(name, stat.S_IMODE(info.st_mode), dir_fd=target)


def _copy_content(name: str, source: int, target: int, *, directory: bool) -> None:
    flags = os.O_NOFOLLOW | os.O_CLOEXEC
    ours = os.open(name, os.O_RDONLY | flags, dir_fd=source)
    try:
        theirs = os.open(name, flags | (os.O_RDONLY if directory else os.O_WRONLY), dir_fd=target)
        try:
            if directory:
                copy_directory(ours, theirs)
            else:
                while os.sendfile(theirs, ours, None, _PIECE):
                    pass
        finally:
            os.close(theirs)
    finally:
        os.close(ours)
