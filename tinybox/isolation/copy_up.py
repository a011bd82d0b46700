"""Copy-up: what lies in a directory is copied into the empty file system that is going to cover it.

Both sides are open directories, and every path is opened below one of them, so no link on the way is followed.
"""

from __future__ import annotations

import os
import stat

from tinybox.linux import files

_PIECE = 1 << 20  # bytes


def copy_directory(source: int, target: int) -> None:
    """Copy all that is below the directory *source*, owners and modes too, into *target*; both fds; see openat2(2).

    Devices and sockets stay behind. ENAMETOOLONG: the tree is deeper than a path can be long.
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
    """Copy what is at *name*; of a directory all but what is in it, and tell that it is one."""
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
    """Make a copy of the file; where another box has put something else there meanwhile, an empty one."""
    flags = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK  # a volume may be another box's, too: wait for nobody there
    ours = os.open(name, os.O_RDONLY | flags, dir_fd=source)
    try:
        theirs = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=target)
        try:
            while stat.S_ISREG(os.fstat(ours).st_mode) and os.sendfile(theirs, ours, None, _PIECE):
                pass
        finally:
            os.close(theirs)
    finally:
        os.close(ours)
