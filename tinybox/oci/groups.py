"""The control group of an OCI container: at the engine's linux.cgroupsPath, or below tinybox's own group.

An engine reads the usage of its container in that group, and programs in the container do: so the container gets a
group for every controller of the host, as with runc, and sees all of them in its /sys/fs/cgroup.
"""

from __future__ import annotations

import os

from tinybox.errors import StateError
from tinybox.isolation.cgroups.group import Cgroup, place
from tinybox.isolation.cgroups.limits import settings
from tinybox.isolation.cgroups.shared import SharedCgroup

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tinybox.container.records.spec import Spec
    from tinybox.isolation.cgroups.hierarchies import Hierarchies
    from tinybox.oci.record import Record


def group(
    container: str,
    config: Spec,
    where: Hierarchies,
    made: Iterable[str] | None = None,
    below: Mapping[str, str] | None = None,
) -> Cgroup:
    """Return the group that ``linux.cgroupsPath`` names; *made* are its directories that tinybox has made.

    A relative path begins at tinybox's own group; the specification leaves that place to the runtime. With
    --below-caller it begins in the directories *below*, by the mount point of each hierarchy.
    """
    path = config.get("linux", {}).get("cgroupsPath", "")
    if below and not path.startswith("/"):
        from tinybox.isolation.cgroups import callers

        where = callers.moved(where, below)
    if not path:
        return Cgroup(place(container), where, [*needed(config, where), *where.v1])
    return SharedCgroup(path if path.startswith("/") else place(path), where, [*needed(config, where), *where.v1], made)


def recorded(entry: Record, config: Spec, where: Hierarchies) -> Cgroup:
    """Return the group of a container whose state.json says what tinybox has made, and where it begins."""
    return group(entry.id, config, where, entry.state.get("groups") or (), entry.state.get("below"))


def is_ours(group: Cgroup) -> bool:
    """Return whether tinybox has made *group*, so that all processes in it belong to the container."""
    return not isinstance(group, SharedCgroup) or group.is_ours()


def check_free(group: Cgroup) -> None:
    """Raise StateError if tinybox's own group for this id exists: another --root has a container of the same id."""
    directory = group.directory("freezer")
    if not isinstance(group, SharedCgroup) and directory and os.path.isdir(directory):
        raise StateError(f"cgroup {group.name}", "it exists already", "use another id, or name a cgroupsPath")


def needed(config: Spec, where: Hierarchies) -> set[str]:
    """Return the controllers that the limits in *config* use."""
    resources = config.get("linux", {}).get("resources", {})
    return {"devices"} | {setting.controller for setting in settings(resources, where)}
