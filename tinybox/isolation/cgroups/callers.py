"""The control groups of the calling process, as the place for the group of a container.

A batch system such as Slurm limits its job by a group that holds the processes of the job. A limit holds for all groups
below, so the group of a container must be below it, and not at another place of the tree. In version 1 a process may be
in another group of each hierarchy. See cgroups(7).
"""

from __future__ import annotations

import os

from tinybox.errors import HostError
from tinybox.isolation.cgroups import files
from tinybox.isolation.cgroups.hierarchies import Hierarchies
from tinybox.linux import proc

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


def places(where: Hierarchies, mountinfo: str, groups: str) -> dict[str, str]:
    """Return for the mount point of each hierarchy the directory in which a group may be made for the caller's child.

    *mountinfo* and *groups* are the texts of /proc/self/mountinfo and /proc/self/cgroup. In version 1 it is the
    caller's own group. In version 2 it is the group above: one with processes has no controllers for groups below
    ("no internal processes" in cgroups(7)). HostError: a group of the caller is not visible here.
    """
    shown = {mount.point: mount.root.rstrip("/") for mount in proc.mountinfo(mountinfo)}
    found: dict[str, str] = {}
    for line in groups.splitlines():
        _, controllers, path = line.split(":", 2)
        own = where.unified if not controllers else where.v1.get(controllers.split(",")[0])
        if own is None:
            continue
        if not f"{path}/".startswith(f"{shown[own]}/"):
            cause = f"the caller is in {path}, which is outside of {own}"
            raise HostError("--below-caller", cause, "mount the control groups that the caller can see")
        inside = path.removeprefix(shown[own]).rstrip("/")
        found[own] = own + (inside if controllers else os.path.dirname(inside).rstrip("/"))
    return found


def of_this_process(where: Hierarchies) -> dict[str, str]:
    """Return `places` for this process."""
    return places(where, files.read("/proc/self/mountinfo") or "", files.read("/proc/self/cgroup") or "")


def moved(where: Hierarchies, to: Mapping[str, str]) -> Hierarchies:
    """Return the hierarchies with the directories *to* in place of their mount points."""
    v1 = {controller: to.get(root, root) for controller, root in where.v1.items()}
    if where.unified is None:
        return Hierarchies(None, (), v1)
    unified = to.get(where.unified, where.unified)
    return Hierarchies(unified, (files.read(f"{unified}/cgroup.controllers") or "").split(), v1)
