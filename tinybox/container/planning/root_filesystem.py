"""The plan's chapter on the root file system: a directory of the bundle, or an image's layers under a writable one.

A user namespace complicates it: its root user is nobody to the host, so what it cannot open the parent hands to it as
mounts, with the owners that the namespace needs.
"""

from __future__ import annotations

import os

from tinybox.container.planning.task import BENCH, bundle_of, layers_of
from tinybox.container.process.plan import Step
from tinybox.isolation import idmap, mount_options, mounts, overlay, rootfs
from tinybox.linux import mount

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinybox.container.planning.task import Task
    from tinybox.container.process.handles import Handles


def _on_bench(task: Task) -> dict[str, str]:
    """Return what lies on the bench: each directory's name there, and what it is a copy of; short, for overlayfs."""
    return {str(number): layer for number, layer in enumerate(layers_of(task))} | {"bundle": task.bundle}


def parent_steps(task: Task) -> list[Step]:
    """Plan what the parent looks for on the host, and copies from it, before the child is born."""
    if not layers_of(task):
        says = "Look whether the bundle's root directory is there"
        return [
            Step("find-root", says, "stat(2)", rootfs.find_root, os.fsdecode(task.root)),
            *([_among_others(task)] if task.shares_mounts else []),
        ]
    if not task.userns:
        return []
    says = "Show the layers with the owners that the new user namespace needs"
    maps = (task.linux.get("uidMappings", []), task.linux.get("gidMappings", []))
    return [Step("idmap-layers", says, "mount_setattr(2)", copy_idmapped, task.handles, _on_bench(task), *maps)]


def _among_others(task: Task) -> Step:
    """Plan the root of a container without a mount namespace of its own, which is undone: nobody else's end does it."""
    from tinybox.isolation import shared_root

    root = shared_root.SharedRoot(os.fsdecode(task.root), task.joined.get("mount", shared_root.OURS))
    says = "Place its root among the mounts of the namespace that it shares"
    step = Step("share-root", says, "move_mount(2)", root.place)
    return step.undone_by("umount2(2): it is taken away from there, with all below it", root.remove)


def change_root(task: Task) -> Step:
    """Plan how what has been mounted becomes the root: of a namespace, or where that is shared of a process."""
    if task.shares_mounts:
        from tinybox.isolation import shared_root

        says = "Make the new root the root of this process; who shares the namespace keeps his"
        return Step("own-root", says, "chroot(2)", shared_root.change_root, task.root)
    says = "Make the new root the root, and let the host's go"
    return Step("pivot", says, "pivot_root(2)", rootfs.pivot, task.root)


def steps(task: Task) -> list[Step]:
    """Plan how the child comes to a root of its own; see "Rootfs Mount Propagation" in OCI's config-linux."""
    if task.shares_mounts:
        return []  # the parent has placed it, and nothing that others have mounted is changed
    flag = propagation_of(task)
    if flag in (mount.MS_SHARED, mount.MS_SLAVE):
        first = Step("receive-mounts", "Keep our mounts from the host, but see the host's", "mount_namespaces(7)",
                     mounts.make_slave)  # fmt: skip
    else:
        first = Step("private-mounts", "Keep our mounts from the host", "mount_namespaces(7)", mounts.make_private)
    return [first, *_root(task)]


def propagation_of(task: Task) -> int:
    """Return the MS_* flag that ``linux.rootfsPropagation`` asks for, or 0."""
    word = task.linux.get("rootfsPropagation")
    return mount_options.propagation(word, "linux.rootfsPropagation") if word else 0


def users(handles: Handles, uids: list[idmap.IDMapping], gids: list[idmap.IDMapping]) -> int:
    """Return an fd of a user namespace with the owners that the box will have: the joined one, or one like the new."""
    joined = handles.namespace_fds.get("user")
    return idmap.user_namespace(uids, gids) if joined is None else os.dup(joined)


def copy_idmapped(
    handles: Handles, bench: dict[str, str], uids: list[idmap.IDMapping], gids: list[idmap.IDMapping]
) -> None:
    """Copy what belongs on the *bench* as idmapped mounts, detached, for the child to place; see mount_setattr(2)."""
    userns = users(handles, uids, gids)
    try:
        for name, path in bench.items():
            handles.trees[name] = mounts.copy_tree(path, mounts.Options(["bind"]), userns)
    finally:
        os.close(userns)


def _root(task: Task) -> list[Step]:
    layers, root = layers_of(task), os.fsdecode(task.root)
    if not layers:
        says = "Make the bundle's root directory a mount"
        return [Step("root", says, "open_tree(2)", rootfs.bind_root, root)]
    placed, bundle = [], bundle_of(task)
    if task.userns:
        says = f"Lay the idmapped layers out in a directory of our own, over {BENCH}"
        placed = [Step("place-layers", says, "move_mount(2)", place_idmapped, task.handles, list(_on_bench(task)))]
        layers = [os.path.join(BENCH, str(number)) for number in range(len(layers))]
    upper, work = os.path.join(bundle, "upper"), os.path.join(bundle, "work")
    says = f"Lay a writable layer over {len(layers)} read-only one{'s' * (len(layers) > 1)}"
    return [
        *placed,
        Step("root", says, "mount(2), overlayfs", _overlay, layers, upper, work, root, task.userns),
    ]


def _overlay(layers: list[str], upper: str, work: str, root: str, userns: bool) -> None:
    overlay.mount_overlay(layers, upper, work, root, userns=userns)


def place_idmapped(handles: Handles, names: list[str]) -> None:
    """Cover the bench with a small tmpfs and place each idmapped copy on a directory there; see move_mount(2).

    This happens in the child's own mount namespace: the host's /run stays as it is.
    """
    rootfs.place_over(mounts.new_filesystem(b"tmpfs", b"tmpfs", mounts.Options(["mode=700", "size=64k"])), BENCH)
    for name in names:
        os.mkdir(os.path.join(BENCH, name), 0o700)
        rootfs.place_over(handles.trees[name], os.path.join(BENCH, name))
