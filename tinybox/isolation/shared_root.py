"""A container's root in a mount namespace that it shares: the runtime's own, or an existing one (OCI's namespace path).

pivot_root(2) would change the root of every process in that namespace. So the new root is a mount there, at its own
path and with the container's mounts below; chroot(2) makes it the root of one process; one umount2(2) removes it all.
The mounts outlive a killed tinybox: `SharedRoot.remove` is the explicit undo.
"""

from __future__ import annotations

import os

from tinybox.errors import UsageError
from tinybox.isolation import mounts, rootfs
from tinybox.linux import mount

OURS = "/proc/self/ns/mnt"


class SharedRoot:
    """The directory *path* as a root in the mount namespace at *where*; see mount_namespaces(7).

    *former* is the result of `look` before the root was placed; without it `remove` does nothing.
    """

    def __init__(self, path: str, where: str, former: tuple[int, int] | None = None) -> None:
        self.path, self.where, self.former = path, where, former

    def look(self) -> tuple[int, int]:
        """Return the number of the namespace and the id of the mount at the path; UsageError: the path is missing."""
        with mounts.InNamespace(self.where) as number:
            try:
                fd = os.open(self.path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            except OSError as error:
                cause = f"{(error.strerror or '').lower()} in the mount namespace {self.where}"
                raise UsageError(f"root.path: {self.path}", cause) from error
        try:
            return number, mount_of(fd)
        finally:
            os.close(fd)

    def place(self) -> None:
        """Mount a private copy of the directory, as this process sees it, over the same path there; move_mount(2)."""
        self.former = self.look()
        tree = mount.open_tree(mount.AT_FDCWD, os.fsencode(self.path))
        mount.mount_setattr(tree, b"", mount.AT_RECURSIVE, propagation=mount.MS_PRIVATE)
        with mounts.InNamespace(self.where):
            rootfs.place_over(tree, self.path)

    def remove(self) -> bool:
        """Unmount the root that `place` has mounted, with all below it; False: *where* is another namespace now."""
        try:
            number, there = self.look()
        except (UsageError, OSError):
            return False
        if self.former is None or number != self.former[0]:
            return False
        if there != self.former[1]:
            with mounts.InNamespace(self.where):
                mount.umount2(os.fsencode(self.path), mount.MNT_DETACH)
        return True


def mount_of(fd: int) -> int:
    """Return the id of the mount through which the file *fd* was opened; see "mnt_id" in proc_pid_fdinfo(5)."""
    with open(f"/proc/self/fdinfo/{fd}", encoding="utf-8") as file:
        fields = dict(line.split(":", 1) for line in file)
    return int(fields["mnt_id"])


def change_root(path: bytes) -> None:
    """Make *path* the root of this process; see chroot(2).

    Unlike the root of pivot_root(2), a process with CAP_SYS_CHROOT can leave this one by another chroot(2).
    """
    os.chdir(path)
    os.chroot(b".")


def take_root(fd: int) -> None:
    """Make the directory of the descriptor *fd* the root of this process; see fchdir(2) and chroot(2)."""
    os.fchdir(fd)
    os.chroot(b".")
