"""Files without a name until they are complete: nothing stays if the process that writes one is killed; see open(2).

The kernel frees such a file when its last descriptor is closed. linkat(2) gives it a name that no other file has.
"""

from __future__ import annotations

import errno
import os

from tinybox.linux.filesystem import files


def appear(path: str, data: bytes, mode: int = 0o600) -> None:
    """Make the file *path* with *data* and *mode*, whole or not at all; FileExistsError: there is one already.

    The file has no name until it is complete: so nothing stays if this process is killed. See O_TMPFILE in open(2).
    """
    fd = open_unnamed(os.path.dirname(path))
    if fd < 0:
        files.replace(path, data, mode)
        return
    with open(fd, "wb") as file:
        file.write(data)
        file.flush()
        os.fchmod(fd, mode)
        give_name(fd, path)


def open_unnamed(folder: str) -> int:
    """Open a new file without a name in *folder*; -1: its file system has none (O_TMPFILE in open(2))."""
    try:
        return os.open(folder or ".", os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno in (errno.EOPNOTSUPP, errno.EISDIR):
            return -1
        raise


def give_name(fd: int, path: str) -> None:
    """Give the unnamed file *fd* the name *path*; see linkat(2), which needs /proc for it."""
    os.link(
        f"/proc/self/fd/{fd}", path, src_dir_fd=fd
    )  # without a src_dir_fd Python calls link(2), which follows no link
