"""inspect: everything about a volume, with docker's keys."""

from __future__ import annotations

from tinybox.container.views import units

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tinybox.container.storage.volumes import Volume


def as_dict(volume: Volume) -> dict[str, Any]:
    """Return everything about *volume*."""
    return {
        "CreatedAt": units.stamp(volume.created),
        "Driver": "local",
        "Labels": volume.labels or None,
        "Mountpoint": volume.path,
        "Name": volume.name,
        "Options": volume.options or None,
        "Scope": "local",
    }
