"""Overlay file system: mount an image's layers and a container's upper directory.

The layers are read-only and shared; the upper directory is empty at first and gets all changes (copy-on-write).
overlayfs merges them into one tree. A file is read from the uppermost directory that has it, and copied up when it is
first written. A deleted file is hidden by a "whiteout", a character device 0:0. So the upper directory contains exactly
the container's changes.
"""

from __future__ import annotations

import os

from tinybox.errors import HostError, SyscallError
from tinybox.linux import mount, user_namespaces
from tinybox.linux.filesystem import files, overlay_marks
from tinybox.linux.filesystem.overlay_marks import USER_OPAQUE, has_mark, opaque_of_layers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def escape(path: str) -> str:
    """Return *path* for an option of overlayfs: with colons, commas and backslashes escaped."""
    return path.replace("\\", "\\\\").replace(":", "\\:").replace(",", "\\,")


def stack(layers: Sequence[str]) -> list[str]:
    """Return *layers*, bottom first, without those that an upper one hides completely.

    An image may list the same layer twice, and overlayfs refuses a directory that is twice in its stack (ELOOP): the
    upper one covers all files of the lower one. A layer whose root directory is opaque hides all layers below it, but
    overlayfs does not look at the mark of a root.
    """
    found = list(dict.fromkeys(reversed(layers)))
    for number, layer in enumerate(found[:-1], 1):
        try:
            if has_mark(layer, opaque_of_layers()):
                del found[number:]
                break
        except OSError:
            continue  # a plan is made without root, or of a sample: the layer cannot be read
    return found[::-1]


def data(layers: Sequence[str], upper: str, work: str, *, userns: bool, volatile: bool = False) -> str:
    """Return the mount options of an overlay of *layers*, bottom first; in ``lowerdir`` the top layer is first.

    In a user namespace overlayfs keeps its metadata in ``user.overlay.*`` attributes (userxattr, Linux 5.11), and makes
    no redirects: a directory is then renamed by copying it. Otherwise the host's default may allow redirects; they are
    switched off, because the upper directory must be usable as a layer.
    """
    lower = ":".join(escape(layer) for layer in reversed(stack(layers)))
    options = f"lowerdir={lower},upperdir={escape(upper)},workdir={escape(work)}"
    options += ",volatile" if volatile else ""
    has_user_marks = userns or user_namespaces.is_rootless()
    return f"{options},userxattr" if has_user_marks else f"{options},redirect_dir=nofollow,metacopy=off"


def mount_overlay(
    layers: Sequence[str], upper: str, work: str, target: str, *, userns: bool = False, volatile: bool = False
) -> None:
    """Mount the overlay of *layers* and *upper* on *target*; see mount(2) and overlayfs in the kernel's documentation.

    With *volatile* nothing is written to the disk for its sake (Linux 5.10): fsync(2) in it returns at once, and its
    end does not wait until all data of the disk under *upper* is written. So a crash of the host may lose its files.

    It uses mount(2), because fsconfig(2) accepts at most 255 bytes for a value, and ``lowerdir`` names every layer.
    HostError: the options are too long, or the store is on a file system that cannot have an upper directory. If that
    is known, fuse-overlayfs serves the overlay, see fuse_overlay.py.
    """
    if overlay_marks.refused:
        from tinybox.isolation import fuse_overlay

        fuse_overlay.mount(layers, upper, work, target)
        return
    try:
        if not (volatile and _is_mounted_volatile(layers, upper, work, target, userns=userns)):
            _mount(layers, target, lambda paths: data(paths, upper, work, userns=userns))
    except SyscallError as error:
        cure = "make a new store: it will use fuse-overlayfs; or on ext4, xfs, btrfs or tmpfs: --root or TINYBOX_ROOT"
        raise HostError(f"overlay on {os.path.dirname(upper)}", str(error), cure) from error


def _is_mounted_volatile(layers: Sequence[str], upper: str, work: str, target: str, *, userns: bool) -> bool:
    """Mount it volatile; return False if the kernel refuses that, and the overlay is to be mounted without it.

    It does so before Linux 5.10, and (EIO) if data could not be written to this disk since the last syncfs(2) of it, as
    when it was full. The mark of a former volatile mount is removed.
    """
    try:
        _mount(layers, target, lambda paths: data(paths, upper, work, userns=userns, volatile=True))
    except SyscallError:
        remove_mark(work)
        return False
    return True


def remove_mark(work: str) -> None:
    """Remove what a volatile mount has left in its *work* directory, by which overlayfs refuses a later mount."""
    mark = f"{work}/work/incompat/volatile"
    files.discard(f"{mark}/dirty")
    for folder in (mark, os.path.dirname(mark)):
        files.discard(folder, remove=os.rmdir)


def mount_merged(layers: Sequence[str], target: str) -> None:
    """Mount two or more *layers* of a `stack` read-only on *target*; see overlayfs, "multiple lower layers"."""
    _mount(layers, target, _data_merged)


def _data_merged(layers: Sequence[str]) -> str:
    lower = ":".join(escape(layer) for layer in reversed(stack(layers)))
    return f"lowerdir={lower}{',userxattr' if user_namespaces.is_rootless() else ''}"


def _mount(layers: Sequence[str], target: str, options_of: Callable[[Sequence[str]], str]) -> None:
    """Mount an overlay with the options that *options_of* returns for the paths of the layers; see mount(2).

    If they do not fit into a page, the paths are relative to the directory of all layers, so that 128 layers fit. The
    kernel resolves them from the working directory, which is changed for this call alone; see chdir(2).
    """
    options = os.fsencode(options_of(layers))
    if len(options) <= mount.DATA_MAX:
        mount.mount(b"overlay", os.fsencode(target), b"overlay", 0, options)
        return
    common = os.path.commonpath(layers)
    former = os.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.chdir(common)
        short = os.fsencode(options_of([layer.removeprefix(f"{common}/") for layer in layers]))
        if len(short) > mount.DATA_MAX:
            cause = f"{len(layers)} layers need {len(short)} bytes of options, the kernel takes {mount.DATA_MAX}"
            raise HostError("overlay", cause)
        mount.mount(b"overlay", os.fsencode(target), b"overlay", 0, short)
    finally:
        os.fchdir(former)
        os.close(former)


def opaque_mark(*, userns: bool) -> str:
    """Return the attribute that marks an opaque directory in overlayfs; a container may set the other one; see `data`.

    An opaque directory hides the directories of the same path in the layers below.
    """
    return USER_OPAQUE if userns else opaque_of_layers()
