"""A mount namespace of its own for what a test mounts: the host's mounts never change. See mount_namespaces(7)."""

from __future__ import annotations

import os
import traceback
from typing import TYPE_CHECKING

from tinybox.isolation import mounts
from tinybox.linux import process

if TYPE_CHECKING:
    from collections.abc import Callable


def alone(act: Callable[[], object]) -> None:
    """Call *act* in a child with a mount namespace of its own; what it raises fails the test."""
    pid = os.fork()
    if pid == 0:
        try:
            process.unshare(process.CLONE_NEWNS)
            mounts.make_private()
            act()
        except BaseException:  # noqa: BLE001  whatever it is, the test must hear of it
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, "see the child's traceback on stderr"
