"""The root file system steps of a plan: a directory of the bundle, or an overlay of image layers; the change of root.

In a user namespace there are more steps; see users.py.
"""

from __future__ import annotations

import os

from tinybox.container.planning.task import STAGING, bundle_of, layers_of
from tinybox.container.process.plan import Step
from tinybox.container.records import spec
from tinybox.errors import HostError
from tinybox.isolation import mount_options, mounts, overlay, rootfs
from tinybox.linux import mount

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinybox.container.planning.task import Task


def parent_steps(task: Task) -> list[Step]:
    """Plan the parent's steps before clone3(2): check the root directory, or copy the layers as idmapped mounts."""
    if task.host.refuses_overlay and task.userns and spec.LAYERS in task.annotations:
        cause = "the file system of the store refuses overlays, and no other root can have the ids of a user namespace"
        raise HostError(
            "a user namespace of its own", cause, "--userns host, or put the store on ext4, xfs, btrfs or tmpfs"
        )
    if not layers_of(task):
        says = "Check that the bundle's root directory exists"
        return [
            Step("find-root", says, "stat(2)", rootfs.find_root, os.fsdecode(task.root)),
            *([_shared_root(task)] if task.shares_mounts else []),
        ]
    if task.host.refuses_overlay:
        from tinybox.container.planning import fuse_root

        return [fuse_root.serve(task)]
    if not task.userns:
        return []
    from tinybox.container.planning import users

    return [users.copy_layers(task)]


def _shared_root(task: Task) -> Step:
    """Plan the root of a container in a shared mount namespace; it needs an undo, because that namespace lives on."""
    from tinybox.isolation import shared_root

    root = shared_root.SharedRoot(os.fsdecode(task.root), task.joined.get("mount", shared_root.OURS))
    says = "Mount the box's root in the mount namespace that it shares"
    step = Step("share-root", says, "move_mount(2)", root.place)
    return step.undone_by("umount2(2), with all mounts below it", root.remove)


def change_root(task: Task) -> Step:
    """Plan how the new mounts become the root: by pivot_root(2), or in a shared mount namespace by chroot(2)."""
    if task.shares_mounts:
        from tinybox.isolation import shared_root

        says = "Make the new root the root of this process, and of no other process in its namespace"
        return Step("own-root", says, "chroot(2)", shared_root.change_root, task.root)
    says = "Make the new root the root, and detach the old one"
    return Step("pivot", says, "pivot_root(2)", rootfs.pivot, task.root)


def steps(task: Task) -> list[Step]:
    """Plan the child's own root; see "Rootfs Mount Propagation" in OCI's config-linux."""
    if task.shares_mounts:
        return []  # the parent has mounted it, and the mounts of other processes must not change
    flag = propagation_of(task)
    if flag in (mount.MS_SHARED, mount.MS_SLAVE):
        says = "Let the host's later mounts come into the box, but none of the box's go to the host"
        first = Step("receive-mounts", says, "mount_namespaces(7)", mounts.make_slave)
    else:
        says = "Stop the propagation of mounts between the box and the host"
        first = Step("private-mounts", says, "mount_namespaces(7)", mounts.make_private)
    return [first, *_root(task)]


def propagation_of(task: Task) -> int:
    """Return the MS_* flag of ``linux.rootfsPropagation``, or 0 if it is not given."""
    name = task.linux.get("rootfsPropagation")
    return mount_options.propagation(name, "linux.rootfsPropagation") if name else 0


def _root(task: Task) -> list[Step]:
    layers, root = layers_of(task), os.fsdecode(task.root)
    if not layers:
        what = "copy of the image's layers" if spec.COPIED in task.annotations else "bundle's root directory"
        says = f"Make the {what} a mount"
        return [Step("root", says, "open_tree(2)", _bind, root)]
    if task.host.refuses_overlay:
        from tinybox.container.planning import fuse_root

        return [fuse_root.root(task, root)]
    placed, bundle = [], bundle_of(task)
    if task.userns:
        from tinybox.container.planning import users

        placed = [users.place_layers(task)]
        layers = [os.path.join(STAGING, str(number)) for number in range(len(layers))]
    upper, work = os.path.join(bundle, "upper"), os.path.join(bundle, "work")
    says = f"Mount an overlay: a writable layer over {len(layers)} read-only one{'s' * (len(layers) > 1)}"
    volatile = spec.VOLATILE in task.annotations
    act = (_overlay, layers, upper, work, root, task.userns, volatile)
    return [*placed, Step("root", says, "mount(2), overlayfs", *act)]


def _bind(root: str) -> None:
    """Make *root* a mount, and enter it: the steps that follow make mounts and devices in it; see chdir(2)."""
    rootfs.bind_root(root)
    os.chdir(root)


def _overlay(layers: list[str], upper: str, work: str, root: str, userns: bool, volatile: bool) -> None:
    """Mount the overlay on *root*, and enter it, as `_bind` does."""
    overlay.mount_overlay(layers, upper, work, root, userns=userns, volatile=volatile)
    os.chdir(root)
