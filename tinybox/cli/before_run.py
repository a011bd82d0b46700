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


def say_what_changes(container: Container) -> None:
    """Print on stderr what a container with a network changes on this host, the first time after a boot."""
    if container.wiring is None:
        return
    from tinybox.container.network import warnings

    notice = warnings.forwarding() if os.geteuid() == 0 else ""
    if notice:
        print(f"tinybox: {notice}", file=sys.stderr)


def refuse_audience(options: dict[str, Any], where: str) -> None:
    """Refuse the options that need an audience *where* nobody looks."""
    for key in SEEING:
        if options.get(key):
            raise UsageError(f"--{key.replace('_', '-')}", f"does not go with {where}", "run it in the foreground")
