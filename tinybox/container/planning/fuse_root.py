"""The steps of a box whose overlay fuse-overlayfs(1) serves, because the kernel refuses one in this store.

The parent makes the mount, detached, and starts the program, before clone3(2): so it is no process of the box, and the
box gets the mount alone. See isolation/fuse_overlay.py.
"""

from __future__ import annotations

import os

from tinybox.container.planning.task import layers_of
from tinybox.container.process.plan import Step
from tinybox.container.records import spec
from tinybox.isolation import fuse_overlay, rootfs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from tinybox.container.planning.task import Task
    from tinybox.container.process.handles import Handles

_TREE = "root"  # the name of the mount among the handles


def serve(task: Task) -> Step:
    """Plan the parent's step: it makes the mount and starts the program; the undo waits for the program's end."""
    upper, work = (os.path.join(task.bundle, name) for name in ("upper", "work"))
    says = "Start fuse-overlayfs, which serves the overlay that the kernel refuses in this store"
    act = (_serve, task.handles, layers_of(task), upper, work, spec.VOLATILE in task.annotations)
    step = Step("serve-root", says, "fuse(4), fuse-overlayfs(1)", *act)
    return step.undone_by("the end of the mount, which ends fuse-overlayfs", task.handles.await_server)


def root(task: Task, path: str) -> Step:
    """Plan the child's step: it places the mount on *path*, and enters it."""
    says = f"Mount what fuse-overlayfs serves: a writable layer over {len(layers_of(task))} read-only"
    return Step("root", says, "move_mount(2)", _place, task.handles, path)


def _serve(handles: Handles, layers: Sequence[str], upper: str, work: str, volatile: bool) -> None:
    handles.trees[_TREE], handles.root_server = fuse_overlay.serve(layers, upper, work, volatile=volatile)


def _place(handles: Handles, path: str) -> None:
    """Place the mount, and enter it: the steps that follow make mounts and devices in it; see chdir(2)."""
    rootfs.place_over(handles.trees[_TREE], path)
    os.chdir(path)
