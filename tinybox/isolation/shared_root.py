"""A root in a mount namespace that is not the container's own: that of the runtime, or one that somebody else has made.

pivot_root(2) would take their root from all who live there. So the new root is a mount among theirs, at its own path
and with the container's mounts below; chroot(2) makes it the root of one process; and one umount2(2) takes all away.
"""

from __future__ import annotations

import os

from tinybox.errors import UsageError
from tinybox.isolation import mounts, rootfs
from tinybox.linux import mount

OURS = "/proc/self/ns/mnt"


class SharedRoot:
    """The directory *path* as a root in the mount namespace at *where*; see mount_namespaces(7).

    *former* is what `look` has told before the root was placed; without it nothing is taken away.
    """

    def __init__(self, path: str, where: str, former: tuple[int, int] | None = None) -> None:
        self.path, self.where, self.former = path, where, former

    def look(self) -> tuple[int, int]:
        """Return which namespace it is, and which of its mounts is at the path; UsageError: there is no such path."""
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
        """Place a copy of the directory, as we see it, over the same path there; it is private; see move_mount(2)."""
        self.former = self.look()
        tree = mount.open_tree(mount.AT_FDCWD, os.fsencode(self.path))
        mount.mount_setattr(tree, b"", mount.AT_RECURSIVE, propagation=mount.MS_PRIVATE)
        with mounts.InNamespace(self.where):
            rootfs.place_over(tree, self.path)

    def remove(self) -> bool:
        """Take away what `place` has placed, and all below it; False: its namespace is not at *where* any more."""
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
    """Return the number of the mount in which the file open as *fd* was found; see proc_pid_fdinfo(5)."""
    with open(f"/proc/self/fdinfo/{fd}", encoding="ascii") as file:
        fields = dict(line.split(":", 1) for line in file)
    return int(fields["mnt_id"])


def change_root(path: bytes) -> None:
    """Make *path* the root of this process; see chroot(2). Who may call that can leave it, as nobody leaves a pivot."""
    os.chdir(path)
    os.chroot(b".")


def take_root(fd: int) -> None:
    """Make the directory open as *fd* the root of this process; see fchdir(2) and chroot(2)."""
    os.fchdir(fd)
    os.chroot(b".")
