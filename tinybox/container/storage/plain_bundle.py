"""A plain OCI bundle: the root file system copied out, so that any runtime can run it."""

from __future__ import annotations

import os
import tempfile

from tinybox.errors import HostError
from tinybox.isolation import mounts, overlay
from tinybox.linux import files, process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn


def copy_merged(layers: Sequence[str], target: str) -> None:
    """Copy the merged view of *layers*, bottom first, to *target*: owners, modes, links and attributes; see cp(1).

    HostError: it cannot be copied whole; *target* is gone then. cp(1) takes no path that the kernel does not take.
    """
    with tempfile.TemporaryDirectory() as merged:
        pid = os.fork()
        if pid == 0:
            _become_copier(layers, merged, target)
        if os.waitpid(pid, 0)[1] != 0:
            files.remove_tree(target)
            raise HostError(f"copy to {target}", "failed", "cp(1) has said why")


def _become_copier(layers: Sequence[str], merged: str, target: str) -> NoReturn:
    """Merge the layers where nobody else sees it, in a mount namespace of our own, and become cp(1)."""
    try:
        process.unshare(process.CLONE_NEWNS)
        mounts.make_private()
        source = layers[0]
        if len(layers) > 1:
            overlay.mount_merged(layers, source := merged)
        os.execvp("cp", ["cp", "-a", f"{source}/.", target])
    finally:
        os._exit(1)
