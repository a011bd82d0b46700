"""What `run`, `create` and `start` have in common before a program runs: refused options, and a notice to the user."""

from __future__ import annotations

import os
import sys

from tinybox.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tinybox.container.lifecycle import Container

SEEING = ("explain", "step", "break_at", "omit", "chroot")  # those of the group that need an audience


def warn_of_host_changes(container: Container) -> None:
    """Print which settings of this host a container with a network changes, the first time after a boot."""
    if container.endpoints is None:
        return
    from tinybox.container.network import warnings

    notice = warnings.forwarding() if os.geteuid() == 0 else ""
    if notice:
        print(f"tinybox: {notice}", file=sys.stderr)


def refuse_seeing(options: dict[str, Any], where: str) -> None:
    """Raise UsageError if *options* has one of SEEING; *where* names the option or command that excludes it."""
    for key in SEEING:
        if options.get(key):
            raise UsageError(f"--{key.replace('_', '-')}", f"does not go with {where}", "run it in the foreground")
