"""The control group of an OCI container: where its engine wants it, or in tinybox's own room.

An engine that names a place also looks there for what its container uses: so there the container gets a group for every
controller, as runc makes them. Elsewhere it has those that its limits need.
"""

from __future__ import annotations

import os

from tinybox.errors import StateError
from tinybox.isolation.cgroups.group import Cgroup, place
from tinybox.isolation.cgroups.limits import settings
from tinybox.isolation.cgroups.shared import SharedCgroup

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from tinybox.container.records.spec import Spec
    from tinybox.isolation.cgroups.hierarchies import Hierarchies


def group(container: str, config: Spec, where: Hierarchies, ours: Iterable[str] | None = None) -> Cgroup:
    """Return the group that ``linux.cgroupsPath`` names; *ours* are the directories of it that we have made.

    A relative path begins in the room of tinybox's groups, which the specification leaves to the runtime.
    """
    path = config.get("linux", {}).get("cgroupsPath", "")
    if not path:
        return Cgroup(place(container), where, needed(config, where))
    return SharedCgroup(path if path.startswith("/") else place(path), where, [*needed(config, where), *where.v1], ours)


def is_ours(group: Cgroup) -> bool:
    """Tell whether *group* was not there before us, so that whoever is in it is ours."""
    return not isinstance(group, SharedCgroup) or group.is_ours()


def check_free(group: Cgroup) -> None:
    """Raise StateError where a group without a place of the engine's is there: a box of its id below another --root."""
    directory = group.directory("freezer")
    if not isinstance(group, SharedCgroup) and directory and os.path.isdir(directory):
        raise StateError(f"cgroup {group.name}", "it exists already", "use another id, or name a cgroupsPath")


def needed(config: Spec, where: Hierarchies) -> set[str]:
    """Return the controllers that the limits in *config* use."""
    resources = config.get("linux", {}).get("resources", {})
    return {"devices"} | {setting.controller for setting in settings(resources, where)}
