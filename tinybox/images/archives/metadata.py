"""Set the owner, mode, time and extended attributes of an unpacked file from its tar header."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from tinybox.errors import ImageError
from tinybox.linux.filesystem.overlay_marks import is_note

if TYPE_CHECKING:
    import tarfile

XATTR = "SCHILY.xattr."  # PAX records of this kind are extended attributes, see star(5)


def apply(fd: int, member: tarfile.TarInfo) -> None:
    """Set owner, attributes, mode and time of *fd*, in this order, because chown(2) removes setuid and capabilities."""
    set_owner(fd, member)
    for key, value in member.pax_headers.items():
        if key.startswith(XATTR):
            _set_attribute(fd, key.removeprefix(XATTR), value.encode("utf-8", "surrogateescape"))
    os.fchmod(fd, member.mode & 0o7777)
    os.utime(fd, ns=times(member))


def _set_attribute(fd: int, name: str, value: bytes) -> None:
    """Set an attribute that an image may have: file capabilities and ``user.*``; ignore others, such as labels.

    ImageError: an attribute of overlayfs, by which an image could hide or show other files.
    """
    if is_note(name):
        raise ImageError("", f"it has the attribute {name}, which controls overlayfs", "the archive is unsafe")
    if name == "security.capability":
        os.setxattr(fd, name, value)
    elif name.startswith("user."):
        set_attribute_if_possible(fd, name, value)


def set_attribute_if_possible(fd: int | str, name: str, value: bytes) -> None:
    """Set a ``user.*`` attribute, if the file system supports them; tmpfs does so only since Linux 6.6."""
    try:
        os.setxattr(fd, name, value)
    except OSError as error:
        if error.errno != errno.ENOTSUP:
            raise


def set_owner(
    path: int | bytes, member: tarfile.TarInfo, dir_fd: int | None = None, *, follow_symlinks: bool = True
) -> None:
    """Set the member's owner on *path* if this process is root, as tar(1) does; ImageError: it is out of range."""
    if not (0 <= member.uid < 2**32 - 1 and 0 <= member.gid < 2**32 - 1):
        raise ImageError("", f"its owner {member.uid}:{member.gid} is out of range", "the archive is unsafe")
    if os.geteuid() != 0:
        return
    try:
        os.chown(path, member.uid, member.gid, dir_fd=dir_fd, follow_symlinks=follow_symlinks)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        cause = f"its owner {member.uid}:{member.gid} has no id in the user namespace of this user"
        raise ImageError(
            "", cause, "give the user more ids: see /etc/subuid, /etc/subgid and tinybox doctor"
        ) from error


def times(member: tarfile.TarInfo) -> tuple[int, int]:
    """Return the access and modification time of the member, in nanoseconds since 1970, for utimensat(2)."""
    nanoseconds = round(member.mtime * 10**9)
    return nanoseconds, nanoseconds
