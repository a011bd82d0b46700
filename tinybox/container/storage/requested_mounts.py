"""The mounts of a container that its user has asked for, and those that another container takes over from it."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

    from tinybox.container.records.paths import Paths
    from tinybox.container.records.spec_types import Mount, Spec

OWN_MOUNTS = frozenset(  # the mounts of every container; all other mounts were requested by the user
    "/proc /dev /dev/pts /dev/mqueue /dev/shm /sys /sys/fs/cgroup /etc/hosts /etc/hostname /etc/resolv.conf".split()
)


def requested(config: Spec, also: Collection[str] = ()) -> list[Mount]:
    """Return the mounts of a container with this *config* that the user requested.

    *also*: places of tinybox's own mounts, such as /etc/hosts, where the user has put a directory or file of the host.
    """
    return [
        entry
        for entry in config.get("mounts", [])
        if entry["destination"] not in OWN_MOUNTS
        or (entry["destination"] in also and os.path.isabs(entry.get("source", "")))
    ]


def handed_on(paths: Paths, config: Spec) -> list[Mount]:
    """Return the volumes and binds that --volumes-from takes from a container, in the form of --mount."""
    handed: list[Mount] = []
    for entry in requested(config):
        options = ["ro" if option == "rro" else option for option in entry.get("options", [])]
        source = entry.get("source", "")
        if os.path.dirname(os.path.dirname(source)) == paths.volumes:  # nocopy: never filled from the other image
            own = [option for option in options if option not in ("rbind", "rprivate", "idmap", "nocopy")]
            name = os.path.basename(os.path.dirname(source))
            handed.append({**entry, "type": "volume", "source": name, "options": [*own, "nocopy"]})
        elif entry.get("type") == "bind" and source.startswith("/"):
            handed.append({**entry, "options": options})
    return handed
