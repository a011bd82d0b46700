"""The marks that overlayfs leaves on files: whiteouts, opaque directories, and the origin of a file that was copied up.

See "whiteouts and opaque directories" in the kernel's documentation of overlayfs. An overlay that was mounted in a user
namespace has attributes ``user.overlay.*``, any other one ``trusted.overlay.*``.

A file system on which the kernel refuses an overlay may have no room for these marks. There fuse-overlayfs(1) and the
layers of the store use the names of the OCI image-spec: an empty file ``.wh.NAME``, and ``.wh..wh..opq`` in an opaque
directory.
"""

from __future__ import annotations

import errno
import os
import stat

from tinybox.linux import user_namespaces

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

TRUSTED_OPAQUE, USER_OPAQUE = "trusted.overlay.opaque", "user.overlay.opaque"
_ORIGIN = "origin"  # the last part of the name of the attribute
_NONE = (errno.ENODATA, errno.ENOTSUP)
NAMED, _NAMED_OPAQUE = ".wh.", ".wh..wh..opq"
_FUSE = "user.fuseoverlayfs."  # the attributes by which fuse-overlayfs makes notes for itself
_HIDING = os.stat_result((stat.S_IFCHR, *[0] * 9), {"st_rdev": 0, "st_mtime_ns": 0})
refused = False  # the kernel refuses an overlay in a store that this process uses: marks may be names


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
    if refused:  # there a box may set any attribute, and fuse-overlayfs makes the file in any case
        place = path if isinstance(path, str) else f"/proc/self/fd/{path}"
        return os.path.lexists(f"{place}/{_NAMED_OPAQUE}")
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
    note = f"{_FUSE}{_ORIGIN}" if refused else f"{mark.rpartition('.')[0]}.{_ORIGIN}"
    try:
        os.getxattr(f"/proc/self/fd/{fd}/{name}", note, follow_symlinks=False)
    except OSError as error:
        if error.errno not in (*_NONE, errno.ENOENT, errno.EPERM):
            raise
        return False
    return True


def is_note(attribute: str) -> bool:
    """Return whether an extended *attribute* controls an overlay, the kernel's or that of fuse-overlayfs; xattr(7)."""
    return "overlay." in attribute or "fuseoverlayfs." in attribute


def is_named(name: str) -> bool:
    """Return whether *name*, in a layer or an upper directory of this store, is a mark, as in fuse-overlayfs(1)."""
    return refused and name.startswith(NAMED)


def infos(fd: int) -> Iterator[tuple[str, os.stat_result]]:
    """Yield name and stat(2) of each file in a layer's open directory; a file that goes meanwhile is passed over.

    A hidden file is given as a device 0:0, also if the mark is a name.
    """
    names = os.listdir(fd)
    if refused:
        marked = [name for name in names if name.startswith(NAMED)]
        names = [name for name in names if not name.startswith(NAMED)]
        hidden = {name.removeprefix(NAMED) for name in marked if name != _NAMED_OPAQUE}
        yield from ((name, _HIDING) for name in sorted(hidden.difference(names)))
    for name in names:
        try:
            yield name, os.stat(name, dir_fd=fd, follow_symlinks=False)
        except FileNotFoundError:
            continue


def mark_beside(path: bytes) -> bytes | None:
    """Return the path of the mark that hides *path* by its name; None: no store has such marks; fuse-overlayfs(1)."""
    folder, slash, name = path.rpartition(b"/")
    return folder + slash + NAMED.encode() + name if refused and name not in {b"", b"."} else None
