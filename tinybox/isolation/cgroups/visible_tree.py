"""Mount /sys/fs/cgroup of a container: its own control groups, as if they were the root; see cgroup_namespaces(7).

In a cgroup namespace a newly mounted cgroup file system shows only the process's own group and those below. With
version 2 it is one mount; with version 1 there is one for each controller, in a small tmpfs.
"""

from __future__ import annotations

import os

from tinybox.isolation import mounts
from tinybox.isolation.cgroups.hierarchies import NAMED, V1_NAMES
from tinybox.linux import mount

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

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
    folder = mounts.Options(["nosuid", "noexec", "nodev", "mode=755"])
    mounts.mount_filesystem(root, destination, b"tmpfs", b"tmpfs", folder)
    if where.unified is not None:
        mounts.mount_filesystem(root, destination + b"/unified", b"cgroup2", b"cgroup", options)
    for name in sorted({V1_NAMES.get(each, each) for each in controllers if where.version(each) == 1}):
        with_controller = mounts.Options([])
        with_controller.attr_set, with_controller.data = options.attr_set, [name]
        folder_name = name.removeprefix(NAMED).encode()
        mounts.mount_filesystem(root, destination + b"/" + folder_name, b"cgroup", b"cgroup", with_controller)
    _close_folder(root, destination, options)


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
    folder = mounts.Options(["nosuid", "noexec", "nodev", "mode=755"])
    mounts.mount_filesystem(root, destination, b"tmpfs", b"tmpfs", folder)
    shown = {
        V1_NAMES.get(name, name).removeprefix(NAMED): group.directory(name)
        for name in group.controllers
        if where.version(name) == 1
    }
    if where.unified is not None:
        shown["unified"] = f"{where.unified}/{group.name}"
    for name, directory in sorted(shown.items()):
        if directory is not None:
            mounts.bind(root, destination + b"/" + name.encode(), directory, bind)
    _close_folder(root, destination, options)


def _close_folder(root: bytes, destination: bytes, options: mounts.Options) -> None:
    """Set the attributes of *options* on the tmpfs itself, after all mounts were placed in it; mount_setattr(2)."""
    folder = mounts.open_target(root, destination, directory=True)
    try:
        mount.mount_setattr(folder, b"", 0, attr_set=options.attr_set)
    finally:
        os.close(folder)
