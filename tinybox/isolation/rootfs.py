"""The root file system: pivot_root, masked and read-only paths; entered_root.py goes on inside of it.

pivot_root(2) makes a mount the root of the mount namespace and moves the old root to another place. Unmounted there,
the host's tree is not only hidden: this mount namespace no longer has it. After chroot(2) alone, a program could still
reach it.
"""

from __future__ import annotations

import os
import stat

from tinybox.errors import TinyboxError, UsageError
from tinybox.isolation import mounts, null_device
from tinybox.linux import mount
from tinybox.linux.filesystem import files, inside

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_INSIDE = files.RESOLVE_IN_ROOT | files.RESOLVE_NO_MAGICLINKS


def find_root(path: str) -> None:
    """Raise UsageError if *path*, the new root, is not a directory; see "Root" in OCI's config.md, and stat(2)."""
    try:
        is_directory = stat.S_ISDIR(os.stat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        is_directory = False
    if not is_directory:
        raise UsageError(f"root.path: {path}", "no such directory")


def bind_root(rootfs: str) -> None:
    """Bind-mount *rootfs* on itself, because pivot_root(2) needs a mount point; see EINVAL there."""
    tree = mount.open_tree(mount.AT_FDCWD, os.fsencode(rootfs))
    place_over(tree, rootfs)


def place_over(tree: int, path: str) -> None:
    """Place the detached mount *tree* over the directory *path* and close *tree*; see move_mount(2).

    Links in *path* are followed: the path must be one of tinybox, not of a container.
    """
    target = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        mount.move_mount(tree, target)
    finally:
        os.close(target)
        os.close(tree)


def pivot(root: bytes) -> None:
    """Make *root* the root and unmount the old root; see pivot_root(".", ".") in the notes of pivot_root(2).

    For a moment the old root is mounted on top of the new one, so the new root needs no directory for it.
    """
    os.chdir(root)
    mount.pivot_root(b".", b".")
    mount.umount2(b".", mount.MNT_DETACH)
    os.chdir("/")


def make_readonly(path: bytes = b"/") -> None:
    """Make the root mount, or that at *path*, read-only, but not the mounts below it; see mount_setattr(2)."""
    mount.mount_setattr(mount.AT_FDCWD, path, 0, attr_set=mount.MOUNT_ATTR_RDONLY)


def _open_inside(root: int, path: str) -> int | None:
    """Open *path* below the new *root*, to mount a cover on it; the container's links are followed; None: no such file.

    TinyboxError: a link leads the path into /proc, whose files must stay the kernel's. Only a *path* that itself begins
    with /proc may be there.
    """
    try:
        target = files.openat2(root, os.fsencode(path), os.O_PATH, _INSIDE)
    except (FileNotFoundError, NotADirectoryError):
        return None
    names_proc = os.path.normpath(f"/{path}").lstrip("/").startswith("proc/")
    if files.file_system(target) == files.PROC_SUPER_MAGIC and not names_proc:
        os.close(target)
        raise TinyboxError(f"cover on {path}", "leads into the box's /proc")
    return target


def mask(paths: Sequence[str]) -> None:
    """Cover each file with /dev/null and each directory with an empty read-only tmpfs: OCI's ``linux.maskedPaths``."""
    covers = _Covers()
    try:
        with inside.Root(b"/") as root:
            for path in paths:
                target = _open_inside(root, path)
                if target is not None:
                    try:
                        covers.put(target)
                    finally:
                        os.close(target)
    finally:
        covers.close()


class _Covers:
    """What covers masked paths: /dev/null for files, and one empty, read-only tmpfs for all directories.

    A path may be given twice, or lead to a former one: a file that is a cover already gets no other cover.
    """

    def __init__(self) -> None:
        self._null, self._empty = null_device.open_own(), -1
        self._known = {_identity(os.fstat(self._null))}

    def put(self, target: int) -> None:
        """Cover the file or directory *target*; see move_mount(2)."""
        info = os.fstat(target)
        if _identity(info) in self._known:
            return
        is_directory = stat.S_ISDIR(info.st_mode)
        if is_directory and self._empty < 0:
            options = mounts.Options(["ro", "nosuid", "nodev", "noexec", "size=0k"])
            self._empty = mounts.new_filesystem(b"tmpfs", b"tmpfs", options)
            self._known.add(_identity(os.fstat(self._empty)))
            mount.move_mount(self._empty, target)  # only a mount that is placed can be copied, before Linux 6.15
            return
        cover = mount.open_tree(self._empty if is_directory else self._null, b"", 0)
        mount.move_mount(cover, target)
        os.close(cover)

    def close(self) -> None:
        """Close both descriptors."""
        for fd in {self._null, self._empty} - {-1}:
            os.close(fd)


def _identity(info: os.stat_result) -> tuple[int, int]:
    return info.st_dev, info.st_ino


def make_paths_readonly(paths: Sequence[str]) -> None:
    """Bind-mount each path on itself, read-only with all mounts below: OCI's ``linux.readonlyPaths``.

    See mount_setattr(2). A path that does not exist is no error; one that is given twice is mounted once.
    """
    with inside.Root(b"/") as root:
        for path in dict.fromkeys(map(os.path.normpath, paths)):
            target = _open_inside(root, path)
            if target is None:
                continue
            tree = mount.open_tree(target, b"")
            try:
                mount.mount_setattr(tree, b"", mount.AT_RECURSIVE, attr_set=mount.MOUNT_ATTR_RDONLY)
                mount.move_mount(tree, target)
            finally:
                os.close(tree)
                os.close(target)
