"""Mount /sys/fs/cgroup of a container: its own control groups, as if they were the root; see cgroup_namespaces(7).

In a cgroup namespace a newly mounted cgroup file system shows only the process's own group and those below. With
version 2 it is one mount; with version 1 there is one for each controller, in a small tmpfs.
"""

from __future__ import annotations

import os

from tinybox.errors import TinyboxError
from tinybox.isolation import mounts
from tinybox.isolation.cgroups.hierarchies import NAMED, V1_NAMES
from tinybox.linux import mount

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Self

    from tinybox.isolation.cgroups.group import Cgroup
    from tinybox.isolation.cgroups.hierarchies import Hierarchies


def mount_cgroups(
    root: bytes, destination: bytes, where: Hierarchies, controllers: Iterable[str], options: mounts.Options
) -> None:
    """Mount the container's view of its control groups at *destination* inside *root*; see cgroups(7).

    *controllers* are those of version 1 in which the container has a group of its own; only these are visible.
    """
    if where.mode == "v2":
        mounts.mount_filesystem(root, destination, b"cgroup2", b"cgroup", options)
        return
    with _Folder(root, destination, options) as folder:
        if where.unified is not None:
            folder.put(b"unified", mounts.new_filesystem(b"cgroup2", b"cgroup", options))
        for name in sorted({V1_NAMES.get(each, each) for each in controllers if where.version(each) == 1}):
            with_controller = mounts.Options([])
            with_controller.attr_set, with_controller.data = options.attr_set, [name]
            tree = mounts.new_filesystem(b"cgroup", b"cgroup", with_controller)
            folder.put(name.removeprefix(NAMED).encode(), tree)


def bind_cgroups(root: bytes, destination: bytes, group: Cgroup, options: mounts.Options) -> None:
    """Bind-mount the container's own *group* at *destination*, for a container without a cgroup namespace; cgroups(7).

    Without such a namespace a newly mounted cgroup file system would show the host's whole tree.
    """
    where = group.hierarchies
    bind = mounts.Options(["bind"])
    bind.attr_set = options.attr_set
    if where.mode == "v2":
        mounts.bind(root, destination, f"{where.unified}/{group.name}", bind)
        return
    shown = {
        V1_NAMES.get(name, name).removeprefix(NAMED): group.directory(name)
        for name in group.controllers
        if where.version(name) == 1
    }
    if where.unified is not None:
        shown["unified"] = f"{where.unified}/{group.name}"
    with _Folder(root, destination, options) as folder:
        for name, directory in sorted(shown.items()):
            if directory is not None:
                folder.put(name.encode(), mounts.copy_tree(directory, bind))


class _Folder:
    """A new tmpfs at *destination* inside *root*, which gets the attributes of *options* when all mounts are in it.

    It stays open, so the names in it are no paths that a link could lead elsewhere; see mount_setattr(2).
    """

    def __init__(self, root: bytes, destination: bytes, options: mounts.Options) -> None:
        self.destination, self.options = os.fsdecode(destination), options
        tmpfs = mounts.Options(["nosuid", "noexec", "nodev", "mode=755"])
        mounts.mount_filesystem(root, destination, b"tmpfs", b"tmpfs", tmpfs)
        self.fd = mounts.open_target(root, destination, directory=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, error: object, *_: object) -> None:
        if error is None:
            mount.mount_setattr(self.fd, b"", 0, attr_set=self.options.attr_set)
        os.close(self.fd)

    def put(self, name: bytes, tree: int) -> None:
        """Place the detached mount *tree* on a new directory *name*, and close it; see mkdirat(2) and move_mount(2)."""
        try:
            os.mkdir(name, 0o755, dir_fd=self.fd)
            mount.move_mount(tree, self.fd, name)
        except OSError as error:
            where = f"{self.destination}/{os.fsdecode(name)}"
            raise TinyboxError(f"mount on {where}", error.strerror or str(error)) from error
        finally:
            os.close(tree)
