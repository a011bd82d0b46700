"""Device files: make or bind those of a container, and its links in /dev; see mknod(2), null(4).

An image or a volume may have put another file in the place of a device: that is an error.
"""

from __future__ import annotations

import os
import stat

from tinybox.errors import UsageError
from tinybox.isolation import mounts
from tinybox.linux.filesystem import inside

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    Node = tuple[bytes, str, tuple[int, int], int, tuple[int, int]]  # its name, and as for `make_device`

# name: (major, minor); see null(4), full(4), random(4), tty(4)
STANDARD_DEVICES = {
    "null": (1, 3),
    "zero": (1, 5),
    "full": (1, 7),
    "random": (1, 8),
    "urandom": (1, 9),
    "tty": (5, 0),
}
STANDARD_LINKS = {
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
    "ptmx": "pts/ptmx",
}
_TYPES = {"c": stat.S_IFCHR, "u": stat.S_IFCHR, "b": stat.S_IFBLK, "p": stat.S_IFIFO}


def make_device(
    root: bytes, path: bytes, kind: str, numbers: tuple[int, int], mode: int, owner: tuple[int, int]
) -> None:
    """Make a device file of *kind* c, b or p at *path* inside *root*; see mknod(2).

    A link there is followed inside *root*. The same device file may exist already; UsageError: another file is there.
    """
    folder, name = os.path.split(path)
    make_devices(root, folder, [(name, kind, numbers, mode, owner)])


def make_standard_devices(root: bytes) -> None:
    """Make the devices in /dev that every container has, which all users may use; see null(4) and mknod(2)."""
    make_devices(root, b"/dev", [(name.encode(), "c", both, 0o666, (0, 0)) for name, both in STANDARD_DEVICES.items()])


def bind_standard_devices(root: bytes) -> None:
    """Bind-mount the host's devices of these names, as root of a user namespace may not make any; see mknod(2)."""
    for name in STANDARD_DEVICES:
        bind_device(root, b"/dev/" + name.encode(), f"/dev/{name}")


def make_devices(root: bytes, folder: bytes, nodes: Iterable[Node]) -> None:
    """Make device files in the directory *folder* inside *root*; see `make_device`."""
    parent = mounts.open_target(root, folder, directory=True)
    former = os.umask(0)  # a later chmod(2) by name would follow a link that another container puts there in a volume
    try:
        for node in nodes:
            if not _make_node(parent, *node) and not _make_behind_links(root, os.path.join(folder, node[0]), node):
                raise UsageError(f"device {os.fsdecode(os.path.join(folder, node[0]))}", "another file has this path")
    finally:
        os.umask(former)
        os.close(parent)


def _make_node(
    parent: int, name: bytes, kind: str, numbers: tuple[int, int], mode: int, owner: tuple[int, int]
) -> bool:
    """Make a device file, unless the same one exists already; return False if another file has the *name*."""
    try:
        os.mknod(name, _TYPES[kind] | mode, os.makedev(*numbers), dir_fd=parent)
    except FileExistsError:
        there = os.stat(name, dir_fd=parent, follow_symlinks=False)
        return stat.S_IFMT(there.st_mode) == _TYPES[kind] and (kind == "p" or there.st_rdev == os.makedev(*numbers))
    if owner != (0, 0):
        os.chown(name, *owner, dir_fd=parent, follow_symlinks=False)
    return True


def _make_behind_links(root: bytes, path: bytes, node: Node) -> bool:
    """Do the same in the directory that the links in *path* lead to inside *root*, under the last name there."""
    with inside.Root(root) as rootfd:
        parent, name = inside.open_parent(rootfd, path)
    try:
        return _make_node(parent, name, *node[1:])
    finally:
        os.close(parent)


def bind_device(root: bytes, path: bytes, source: str) -> None:
    """Bind-mount the host's device file *source* at *path*, because in a user namespace mknod(2) of it is EPERM."""
    mounts.bind(root, path, source, mounts.Options(["bind"]))


def make_links(root: bytes, links: dict[str, str]) -> None:
    """Make the links in /dev that programs expect, such as /dev/stdin; see "Default Devices" in OCI's config-linux.

    A file that exists already is kept.
    """
    dev = mounts.open_target(root, b"/dev", directory=True)
    try:
        for name, target in links.items():
            try:
                os.symlink(target, name, dir_fd=dev)
            except FileExistsError:
                continue
    finally:
        os.close(dev)
