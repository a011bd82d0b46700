"""Volumes: directories of the store that outlive the containers that use them."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinybox.container.state import Home


def directory(home: Home, name: str, *, make: bool) -> str:
    """Return the directory of volume *name*; one without a name, or used for the first time, is made now if *make*."""
    name = name or os.urandom(32).hex()
    path = os.path.join(home.root, "volumes", name, "_data")
    if make:
        os.makedirs(path, exist_ok=True)
    return path
