"""Make a layer: mount what the layers below come to, let a function change it, and store what has changed.

The mounts are in a mount namespace of the process that builds the stage, so the kernel removes them with the process.
The upper directory of the overlay becomes the layer, by the same archive that `commit` makes; see layers.py.
"""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from tinybox.container.files import mount_placeholders
from tinybox.images import adopting, content, intake
from tinybox.images.archives import layers
from tinybox.images.archives.metadata import XATTR
from tinybox.images.store import layer_key
from tinybox.isolation import copied_layers, mounts, overlay
from tinybox.linux import mount, process
from tinybox.linux.filesystem import files, overlay_refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from tinybox.images.intake import Workspace
    from tinybox.images.store import Store

_STAGE_STEPS = 1 << 20  # the numbers of the directories in the workspace are those of a stage and a step
_ROOT = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class Site(NamedTuple):
    """Where a stage is built: the *store*, the build's workspace *work*, and the stage's *number*.

    No file of a layer is newer than *newest* (SOURCE_DATE_EPOCH, seconds since 1970), if that is not None. *omitted* is
    called with the name of each file that a layer cannot contain, such as a socket.
    """

    store: Store
    work: Workspace
    number: int
    newest: int | None
    omitted: Callable[[str], None] = print

    def folder(self, step: int) -> str:
        """Return a new directory for the files of *step*; the caller removes it."""
        path = f"{self.work.path}/step-{self.number}-{step}"
        os.mkdir(path, 0o700)
        return path


def enter() -> None:
    """Give this process a mount namespace of its own; mounts of the host still appear in it; see unshare(2)."""
    process.unshare(process.CLONE_NEWNS)
    mounts.make_slave()


def changed(site: Site, below: Sequence[str], step: int, act: Callable[[int], None]) -> str:
    """Call *act* with the descriptor of a root that has the layers *below*; return the diff id of what it changed.

    "": it changed nothing. *below* are the directories of layers, the bottom one first.
    """
    folder = site.folder(step)
    try:
        with _mounted(below, folder) as root:
            act(root)
        return kept(site, below, step, f"{folder}/upper")
    finally:
        files.remove_tree(folder)


@contextmanager
def merged(below: Sequence[str], folder: str) -> Iterator[int]:
    """Yield the descriptor of a root that has the layers *below*; writes go to the new *folder*/upper.

    Its path is *folder*/root.
    """
    os.makedirs(folder, 0o700, exist_ok=True)
    with _mounted(below, folder) as root:
        yield root


@contextmanager
def _mounted(below: Sequence[str], folder: str) -> Iterator[int]:
    for name in ("none", "upper", "work", "root"):
        os.mkdir(f"{folder}/{name}", 0o755)
    like_root(below, f"{folder}/upper")
    if overlay_refusal.driver() == overlay_refusal.COPIES:
        with _copied(below, folder) as root:
            yield root
        return
    overlay.mount_overlay(below or [f"{folder}/none"], f"{folder}/upper", f"{folder}/work", f"{folder}/root")
    try:
        root = os.open(f"{folder}/root", _ROOT)
        try:
            yield root
        finally:
            os.close(root)
    finally:
        mount.umount2(os.fsencode(f"{folder}/root"), mount.MNT_DETACH)


@contextmanager
def _copied(below: Sequence[str], folder: str) -> Iterator[int]:
    """Do the same where no overlay can be had: by a copy of the layers, and a comparison with them at the end."""
    if below:
        copied_layers.copy(below, f"{folder}/root")
    root = os.open(f"{folder}/root", _ROOT)
    try:
        yield root
    finally:
        os.close(root)
    copied_layers.upper(below, f"{folder}/root", f"{folder}/upper")


def like_root(below: Sequence[str], upper: str) -> None:
    """Give the empty directory *upper* the owner and mode of the root that the layers *below* come to."""
    if below:
        info = os.stat(below[-1])
        os.chown(upper, info.st_uid, info.st_gid)
        os.chmod(upper, info.st_mode & 0o7777)


def kept(site: Site, below: Sequence[str], step: int, upper: str, places: Sequence[str] = ()) -> str:
    """Put the directory *upper* into the store as a layer, and return its diff id; "": it has no files.

    Mount points that the container made are left out; *places* are those of mounts that not every container has.
    """
    mark = overlay.opaque_mark(userns=False)
    points = mount_placeholders.made(upper, below, mark, places)
    number = site.number * _STAGE_STEPS + step
    layer = f"{site.work.path}/{intake.LAYER}{number}"
    try:
        diff_id = _stored(site, upper, number, f"{XATTR}{mark}", points)
        if diff_id:
            with site.store.locked():
                protect(site, diff_id)
                intake.place(site.store, layer, diff_id)
        return diff_id
    finally:
        files.remove_tree(layer)  # if the store had the layer, or it has no files


def _stored(site: Site, upper: str, number: int, mark: str, points: Collection[str]) -> str:
    """Make the layer *number* of the workspace from *upper*, and return its diff id; "": it has no files.

    The directory itself becomes the layer. Only if times change, or if it is in another file system, it is packed and
    unpacked.
    """
    if site.newest is None:
        try:
            return adopting.adopt(site.work, upper, number, mark, site.omitted, points)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
    packed = f"{site.work.path}/upper-{number}.tar"
    try:
        if not layers.pack(upper, packed, mark, site.omitted, points, site.newest):
            return ""
        return intake.add_layer(site.work, packed, number, os.path.getsize(packed)).diff_id
    finally:
        files.discard(packed)


def protect(site: Site, *diff_ids: str) -> None:
    """Keep layers in the store, whether an image needs them or not, until the build ends; the caller holds the lock."""
    for diff_id in diff_ids:
        content.want(site.work.path, [diff_id], f"-{layer_key(diff_id)}")
