"""Copy-up: copy the content of a directory into the new file system that will be mounted over it (``tmpcopyup``).

Source and target are open directories. Every path is opened below one of them without following a link in it.
"""

from __future__ import annotations

import os
import stat

from tinybox.linux.filesystem import files, holes


def copy_directory(source: int, target: int) -> None:
    """Copy all files below the directory *source*, with owners and modes, into *target*; both are fds; openat2(2).

    Devices and sockets are not copied. ENAMETOOLONG: a path in the tree is longer than PATH_MAX.
    """
    pending = [b"."]
    while pending:
        path = pending.pop()
        reading = files.open_straight(source, path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            writing = files.open_straight(target, path, os.O_RDONLY | os.O_DIRECTORY)
            try:
                folders = [name for name in map(os.fsencode, os.listdir(reading)) if _copy(name, reading, writing)]
            finally:
                os.close(writing)
        finally:
            os.close(reading)
        pending += folders if path == b"." else [path + b"/" + name for name in folders]


def _copy(name: bytes, source: int, target: int) -> bool:
    """Copy the file *name*, or make the directory *name* without its content; return whether it is a directory."""
    info = os.stat(name, dir_fd=source, follow_symlinks=False)
    if stat.S_ISLNK(info.st_mode):
        os.symlink(os.readlink(name, dir_fd=source), name, dir_fd=target)
        os.chown(name, info.st_uid, info.st_gid, dir_fd=target, follow_symlinks=False)
        return False
    if stat.S_ISDIR(info.st_mode):
        os.mkdir(name, 0o700, dir_fd=target)
    elif stat.S_ISREG(info.st_mode):
        _copy_content(name, source, target)
    elif stat.S_ISFIFO(info.st_mode):
        os.mkfifo(name, 0o600, dir_fd=target)
    else:
        return False
    os.chown(name, info.st_uid, info.st_gid, dir_fd=target)
    os.chmod(name, stat.S_IMODE(info.st_mode), dir_fd=target)
    return stat.S_ISDIR(info.st_mode)


def _copy_content(name: bytes, source: int, target: int) -> None:
    """Copy the regular file *name*; if another container has replaced it by a file of another type, make it empty."""
    flags = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK  # a volume may be shared: do not wait for another container
    reading = os.open(name, os.O_RDONLY | flags, dir_fd=source)
    try:
        writing = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=target)
        try:
            if stat.S_ISREG(os.fstat(reading).st_mode):
                holes.copy(reading, writing)
        finally:
            os.close(writing)
    finally:
        os.close(reading)
