"""Volumes: directories of the store that outlive the containers that use them."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinybox.container.home import Home
    from tinybox.container.spec import Spec


def directory(home: Home, name: str) -> str:
    """Return where the volume *name* is, or will be; without a name it is an anonymous one, of this container alone."""
    return os.path.join(home.volumes, name or os.urandom(32).hex(), "_data")


def used(home: Home, config: Spec) -> list[str]:
    """Return the directories of the volumes that a container with this *config* uses."""
    mounts = config.get("mounts", [])
    return [entry["source"] for entry in mounts if os.path.dirname(os.path.dirname(entry["source"])) == home.volumes]


def make(home: Home, config: Spec) -> None:
    """Make those volumes that a container uses and that are not there yet, as docker does."""
    for path in used(home, config):
        os.makedirs(path, exist_ok=True)


def is_anonymous(path: str) -> bool:
    """Tell whether this volume has no name of its own, only 64 hex digits; it goes with its container."""
    name = os.path.basename(os.path.dirname(path))
    return len(name) == 64 and set(name) <= set("0123456789abcdef")
