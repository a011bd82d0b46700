"""tinybox's own files, whose paths no container chooses: read or write one, replace one as a whole, remove one.

files.py is for paths of a container. This file needs no ctypes, so that a short command, such as `tinybox-oci state`,
starts without it.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_CHUNK = 1 << 16  # bytes of one read(2)
_open, _read, _write = os.open, os.read, os.write  # --explain replaces these later, and shall not report such calls


def content(fd: int, most: int = sys.maxsize) -> bytes:
    """Return what is left to read of the open file *fd*, at most *most* bytes, and close it; see read(2).

    Python's open() makes five more system calls: it asks for the size and the place, and whether this is a terminal.
    """
    parts = []
    try:
        while most > 0 and (part := _read(fd, min(most, _CHUNK))):
            parts.append(part)
            most -= len(part)
    finally:
        os.close(fd)
    return b"".join(parts)


def write_all(fd: int, data: bytes) -> None:
    """Write all of *data* to the open file *fd*: near the end of the space, write(2) may take only a part."""
    while data:
        data = data[_write(fd, data) :]


def write_once(fd: int, data: bytes) -> None:
    """Write *data* to the open file *fd* in one call, as the kernel's own files need it, and close it; see write(2)."""
    try:
        os.write(fd, data)
    finally:
        os.close(fd)


def replace(path: str, data: bytes, mode: int = 0o600) -> None:
    """Replace the file *path* by one with *data* and *mode*, whole or not at all; see rename(2).

    On a full disk the former file stays. The umask has no effect. Two processes must not do this at the same time.
    """
    draft = f"{path}.new"

    def write() -> None:
        fd = _open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            if mode != 0o600:
                os.fchmod(fd, mode)
            write_all(fd, data)
        finally:
            os.close(fd)

    _rename_made(write, draft, path)


def replace_link(path: str, target: str, draft: str = "") -> None:
    """Make *path* a symbolic link to *target* in one step, also in place of a former one; see rename(2)."""
    draft = draft or f"{path}.new"
    _rename_made(lambda: os.symlink(target, draft), draft, path)


def _rename_made(make: Callable[[], None], draft: str, path: str) -> None:
    try:
        try:
            make()
        except FileExistsError:  # left by a command that was killed before rename(2)
            discard(draft)
            make()
        os.rename(draft, path)
    except BaseException:
        discard(draft)
        raise


def discard(path: str | bytes, dir_fd: int | None = None, remove: Callable[..., None] = os.unlink) -> None:
    """Remove a link or a file, or with os.rmdir a directory, if it exists; see unlink(2)."""
    try:
        remove(path, dir_fd=dir_fd)
    except FileNotFoundError:
        return
