"""The marks that overlayfs leaves on files: whiteouts, opaque directories, and the origin of a file that was copied up.

See "whiteouts and opaque directories" in the kernel's documentation of overlayfs. An overlay that was mounted in a user
namespace has attributes ``user.overlay.*``, any other one ``trusted.overlay.*``.
"""

from __future__ import annotations

import errno
import os
import stat

from tinybox.linux import user_namespaces

TRUSTED_OPAQUE, USER_OPAQUE = "trusted.overlay.opaque", "user.overlay.opaque"
_ORIGIN = "origin"  # the last part of the name of the attribute
_NONE = (errno.ENODATA, errno.ENOTSUP)


def opaque_of_layers() -> str:
    """Return the attribute that marks an opaque directory in the layers of this user's store.

    Layers in root's store have both attributes; a user without root may not set ``trusted.*``, see xattr(7).
    """
    return USER_OPAQUE if user_namespaces.is_rootless() else TRUSTED_OPAQUE


def is_whiteout(info: os.stat_result) -> bool:
    """Return whether a file of a layer is a whiteout, a character device 0:0, which hides a file; see stat(2)."""
    return stat.S_ISCHR(info.st_mode) and info.st_rdev == 0


def has_mark(path: str | int, mark: str) -> bool:
    """Return whether the directory *path* (or an fd of it) has the attribute *mark* with the value y; see getxattr(2).

    An opaque directory has it: it hides the files of the same directory in the layers below.
    """
    try:
        return os.getxattr(path, mark) == b"y"
    except OSError as error:
        if error.errno not in _NONE:
            raise
        return False


def has_origin(fd: int, name: str, mark: str) -> bool:
    """Return whether overlayfs has copied the file *name* of the open directory *fd* up from a layer; lgetxattr(2).

    *mark* is the overlay's attribute of opaque directories. A file that a program has made in its place, or renamed to
    it, has no origin.
    """
    try:
        os.getxattr(f"/proc/self/fd/{fd}/{name}", f"{mark.rpartition('.')[0]}.{_ORIGIN}", follow_symlinks=False)
    except OSError as error:
        if error.errno not in (*_NONE, errno.ENOENT, errno.EPERM):
            raise
        return False
    return True
