"""Control groups: which version is mounted, which controller is where, and whether we may make groups there."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tinybox.doctor.finding import NOTE, OK, PROBLEM, Finding, listed, text
from tinybox.isolation.cgroups import group
from tinybox.isolation.cgroups.hierarchies import Hierarchies, hierarchies

if TYPE_CHECKING:
    from tinybox.container.records.paths import Paths

LIMITS = {  # controllers, by their names in version 2, and the options that need them
    "memory": "-m",
    "cpu": "--cpus",
    "pids": "--pids-limit",
    "cpuset": "--cpuset-cpus",
    "io": "--blkio-weight, --device-read-bps ...",
}


def mode(_: Paths) -> Finding:
    """Tell the versions from the mounts; see cgroups(7)."""
    where = hierarchies()
    places = {
        "none": "no cgroup file system is mounted",
        "v1": "version 1 alone: a box's processes are frozen and ended one by one",
        "v2": f"version 2 at {where.unified}",
        "hybrid": f"hybrid: version 2 at {where.unified}, and controllers of version 1",
    }
    if where.mode == "none":
        return Finding("cgroups", PROBLEM, places["none"], "mount -t cgroup2 none /sys/fs/cgroup")
    return Finding("cgroups", OK, places[where.mode])


def controllers(_: Paths) -> Finding:
    """Tell where each controller is, and which limits this host cannot hold."""
    where = hierarchies()
    by_version = {version: [name for name in LIMITS if where.version(name) == version] for version in (2, 1, 0)}
    found = "; ".join(f"on v{version}: {listed(names)}" for version, names in by_version.items() if version and names)
    if by_version[0]:
        options = ", ".join(f"{name} ({LIMITS[name]})" for name in by_version[0])
        cure = "boot with these controllers; without them the options are refused"
        return Finding("controllers", NOTE, f"{found or 'none'}; missing: {options}", cure)
    return Finding("controllers", OK, found)


def delegation(_: Paths) -> Finding:
    """Tell whether we may make groups: the directories are writable, and version 2 hands its controllers down."""
    where = hierarchies()
    tops = {root for root in map(where.root, [*LIMITS, "freezer"]) if root is not None}
    closed = sorted(top for top in tops if not os.access(top, os.W_OK) or os.statvfs(top).f_flag & os.ST_RDONLY)
    if closed and os.geteuid() == 0:
        cure = "in a container, give it a writable cgroup file system (--privileged, --cgroupns private)"
        return Finding("delegation", PROBLEM, f"no group can be made below {' '.join(closed)}", cure)
    refused = _not_handed_down(where)
    if refused:
        cure = "move the processes of that group into one below it (systemd: Delegate=yes)"
        return Finding("delegation", NOTE, f"{refused}: limits by version 2 will be refused", cure)
    return Finding("delegation", OK, f"groups are made below {' '.join(sorted(tops))}")


def _not_handed_down(where: Hierarchies) -> str:
    """Name the controllers that version 2 has, and cannot hand down since processes sit in its top group.

    "No internal processes" does not hold for the real root, only for the root that a cgroup namespace shows.
    """
    if where.unified is None:
        return ""
    handed = set(text(f"{where.unified}/cgroup.subtree_control").split())
    missing = group.V2_COUNTED & where.v2_controllers - handed
    is_real_root = not os.path.exists(f"{where.unified}/cgroup.type")
    if not missing or is_real_root or not text(f"{where.unified}/cgroup.procs"):
        return ""
    return f"processes sit in {where.unified} itself, so {listed(missing)} cannot be handed down"
