"""What `run`, `create` and `start` have in common before a program runs: refused options, and a notice to the user."""

from __future__ import annotations

import os
import sys

from tinybox.errors import UsageError, printable

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


def warn_of_another_processor(container: Container) -> None:
    """Print docker's warning if the image is for another processor, unless the user has asked for that with --platform.

    The program may run: by an interpreter such as qemu, binfmt_misc(5), or because it is for this one, too.
    """
    if container.other_platform:
        from tinybox.images.store import this_architecture

        text = f"The requested image's platform ({container.other_platform}) does not match the detected host platform"
        text += f" (linux/{this_architecture()}) and no specific platform was requested"
        print(printable(f"WARNING: {text}"), file=sys.stderr)


def warn(container: Container) -> None:
    """Print both warnings about a new container."""
    warn_of_another_processor(container)
    warn_of_host_changes(container)


def refuse_seeing(options: dict[str, Any], where: str) -> None:
    """Raise UsageError if *options* has one of SEEING; *where* names the option or command that excludes it."""
    for key in SEEING:
        if options.get(key):
            raise UsageError(f"--{key.replace('_', '-')}", f"does not go with {where}", "run it in the foreground")
