"""Copy a container's merged root file system into a plain OCI bundle, which any runtime can run."""

from __future__ import annotations

import os
import tempfile

from tinybox.errors import HostError
from tinybox.isolation import mounts, overlay
from tinybox.linux import process
from tinybox.linux.filesystem import files, overlay_marks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn


def copy_merged(layers: Sequence[str], target: str) -> None:
    """Copy the merged view of *layers*, bottom first, to *target* with owners, modes, links, attributes; see cp(1).

    A link at the place of a file of *target* is removed, not followed: in an image it may name a file of the host. If
    the copy fails, *target* is removed and HostError is raised. For instance, cp(1) cannot copy a path that is
    longer than the kernel allows.
    """
    if overlay_marks.refused:
        from tinybox.isolation import copied_layers

        copied_layers.copy(layers, target)
        return
    with tempfile.TemporaryDirectory() as merged:
        pid = os.fork()
        if pid == 0:
            _become_copier(layers, merged, target)
        if os.waitpid(pid, 0)[1] != 0:
            files.remove_tree(target)
            raise HostError(f"copy to {target}", "failed", "see the message of cp(1)")


def _become_copier(layers: Sequence[str], merged: str, target: str) -> NoReturn:
    """Merge the layers in a new mount namespace, where no other process sees them, and execute cp(1)."""
    try:
        process.unshare(process.CLONE_NEWNS)
        mounts.make_private()
        layers = overlay.stack(layers)
        source = layers[0]
        if len(layers) > 1:
            overlay.mount_merged(layers, source := merged)
        os.execvp("cp", ["cp", "-a", "--remove-destination", f"{source}/.", target])
    finally:
        os._exit(1)
