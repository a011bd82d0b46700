"""The control group of an OCI container: at the engine's linux.cgroupsPath, or below tinybox's own group.

An engine reads the usage of its container in that group, and programs in the container do: so the container gets a
group for every controller of the host, as with runc, and sees all of them in its /sys/fs/cgroup.
"""

from __future__ import annotations

import os
import time

from tinybox.errors import StateError
from tinybox.isolation.cgroups import frozen
from tinybox.isolation.cgroups.hierarchies import hierarchies

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tinybox.container.records.spec_types import Spec
    from tinybox.isolation.cgroups.group import Cgroup
    from tinybox.isolation.cgroups.hierarchies import Hierarchies
    from tinybox.oci.record import Record

PATIENCE = 10.0  # seconds that a frozen group may take to go on


def group(container: str, config: Spec, where: Hierarchies, made: Iterable[str] | None = None) -> Cgroup:
    """Return the group that ``linux.cgroupsPath`` names; *made* are its directories that tinybox has made.

    A relative path begins at tinybox's own group; the specification leaves that place to the runtime. With
    --below-caller *where* is what `moved` returns.
    """
    from tinybox.container.planning import cgroups
    from tinybox.isolation.cgroups.group import Cgroup, place

    path, needed = config.get("linux", {}).get("cgroupsPath", ""), [*cgroups.controllers(config, where), *where.v1]
    if not path:
        return Cgroup(place(container), where, needed)
    from tinybox.isolation.cgroups.shared import SharedCgroup

    return SharedCgroup(path if path.startswith("/") else place(path), where, needed, made)


def of_caller(config: Spec, where: Hierarchies) -> dict[str, str]:
    """Return the directories in which a group with --below-caller begins, by the mount points of the hierarchies.

    There are none for an absolute ``linux.cgroupsPath``, which begins at the root.
    """
    from tinybox.isolation.cgroups import callers

    return {} if config.get("linux", {}).get("cgroupsPath", "").startswith("/") else callers.of_this_process(where)


def moved(where: Hierarchies, below: Mapping[str, str] | None) -> Hierarchies:
    """Return the hierarchies as they begin in the directories *below*, which `of_caller` has found, if any."""
    if not below:
        return where
    from tinybox.isolation.cgroups import callers

    return callers.moved(where, below)


def of(entry: Record, where: Hierarchies | None = None) -> Cgroup:
    """Return the control group of a recorded container, which exists: so the controllers of its limits do not matter.

    The record of a former tinybox, or a damaged one, has no name of it: then config.json has the path.
    """
    where, made = moved(where or hierarchies(), entry.state.get("below")), entry.state.get("groups")
    if "cgroup" not in entry.state:
        from tinybox.container.records import spec

        config = spec.load_if_sound(entry.folder) if entry.damage else entry.outline()
        return group(entry.id, config, where, made or ())
    if made is None:
        from tinybox.isolation.cgroups.group import Cgroup

        return Cgroup(entry.state["cgroup"], where, where.v1)
    from tinybox.isolation.cgroups.shared import SharedCgroup

    return SharedCgroup(entry.state["cgroup"], where, where.v1, made)


def is_frozen(entry: Record) -> bool:
    """Return whether the container is paused: all processes of its group are stopped; see cgroups(7)."""
    return frozen.is_frozen(_name(entry), moved(hierarchies(), entry.state.get("below")))


def thaw(entry: Record) -> None:
    """Let the processes of the container's group continue; a removed group is no error; see cgroups(7)."""
    frozen.thaw(_name(entry), moved(hierarchies(), entry.state.get("below")), time.monotonic() + PATIENCE)


def _name(entry: Record) -> str:
    name: str = entry.state.get("cgroup") or of(entry).name
    return name


def is_ours(group: Cgroup) -> bool:
    """Return whether tinybox has made *group*, so that all processes in it belong to the container."""
    return group.ours is None or group.directory("freezer") in group.ours


def check_free(group: Cgroup) -> None:
    """Raise StateError if tinybox's own group for this id exists: another --root has a container of the same id."""
    directory = group.directory("freezer")
    if group.ours is None and directory and os.path.isdir(directory):
        raise StateError(f"cgroup {group.name}", "it exists already", "use another id, or name a cgroupsPath")
