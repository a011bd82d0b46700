"""Checks of control groups: which version is mounted, where each controller is, and whether groups can be made."""

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
    """Read the versions of control groups from the mounts; see cgroups(7)."""
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
    """Report which version has each controller, and which limits this host cannot enforce."""
    where = hierarchies()
    by_version = {version: [name for name in LIMITS if where.version(name) == version] for version in (2, 1, 0)}
    found = "; ".join(f"on v{version}: {listed(names)}" for version, names in by_version.items() if version and names)
    if by_version[0]:
        options = ", ".join(f"{name} ({LIMITS[name]})" for name in by_version[0])
        cure = "boot with these controllers; without them the options are refused"
        return Finding("controllers", NOTE, f"{found or 'none'}; missing: {options}", cure)
    return Finding("controllers", OK, found)


def delegation(_: Paths) -> Finding:
    """Check that groups can be made: directories are writable, and version 2 can enable its controllers below."""
    where = hierarchies()
    tops = {root for root in map(where.root, [*LIMITS, "freezer"]) if root is not None}
    closed = sorted(top for top in tops if not os.access(top, os.W_OK) or os.statvfs(top).f_flag & os.ST_RDONLY)
    if closed and os.geteuid() == 0:
        cure = "in a container, give it a writable cgroup file system (--privileged, --cgroupns private)"
        return Finding("delegation", PROBLEM, f"no group can be made below {' '.join(closed)}", cure)
    refused = _not_enabled(where)
    if refused:
        cure = "move the processes of that group into one below it (systemd: Delegate=yes)"
        return Finding("delegation", NOTE, f"{refused}: limits by version 2 will be refused", cure)
    return Finding("delegation", OK, f"groups are made below {' '.join(sorted(tops))}")


def _not_enabled(where: Hierarchies) -> str:
    """Return why version 2 cannot enable its controllers in child groups: processes in its top group; "" if it can.

    The rule "no internal processes" does not hold for the real root, only for the root that a cgroup namespace shows.
    """
    if where.unified is None:
        return ""
    enabled = set(text(f"{where.unified}/cgroup.subtree_control").split())
    missing = group.V2_COUNTED & where.v2_controllers - enabled
    is_real_root = not os.path.exists(f"{where.unified}/cgroup.type")
    if not missing or is_real_root or not text(f"{where.unified}/cgroup.procs"):
        return ""
    return f"there are processes in {where.unified} itself, so {listed(missing)} cannot be enabled below it"
