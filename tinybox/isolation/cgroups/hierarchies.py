"""Find the cgroup hierarchies of this host: the tree of version 2, the trees of version 1, and their controllers.

A controller (memory, cpu, pids ...) is in exactly one hierarchy at a time. A hierarchy is a mounted file system, so
mountinfo lists all of them, with any directory names. See cgroups(7).
"""

from __future__ import annotations

from tinybox.linux import proc, user_namespaces

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# Mount options of version 1 name its controllers; these are the kernel's names for them (see cgroups(7)).
V1_CONTROLLERS = frozenset(
    "blkio cpu cpuacct cpuset devices freezer hugetlb memory misc net_cls net_prio perf_event pids rdma".split()
)
NAMED = "name="  # the mount option of a hierarchy of version 1 without a controller, in which systemd keeps its units
V1_NAMES = {"io": "blkio"}  # the names in version 1 of controllers that version 2 has renamed
# Functions of every group of version 2, without a controller: cgroup.freeze (5.2), the BPF device filter (4.15).
V2_ALWAYS = frozenset({"cgroup", "devices", "freezer"})


class Hierarchies:
    """The cgroup hierarchies of a host.

    *unified* is the mount point of cgroup2, or None; *v2_controllers* are those of its root; *v1* maps the name of a
    controller of version 1 to the mount point of its hierarchy. A hierarchy without a controller has a name of its own:
    its key is ``name=systemd``, as in /proc/PID/cgroup.
    """

    def __init__(self, unified: str | None, v2_controllers: Iterable[str], v1: Mapping[str, str]) -> None:
        self.unified = unified
        self.v2_controllers = frozenset(v2_controllers)
        self.v1 = dict(v1)

    def __repr__(self) -> str:
        return f"Hierarchies({self.unified!r}, {sorted(self.v2_controllers)}, {self.v1})"

    @property
    def mode(self) -> str:
        """Return the kind of the host: ``v2``, ``hybrid`` (both versions), ``v1`` or ``none``."""
        has_v1 = any(not key.startswith(NAMED) for key in self.v1)
        if self.unified is not None:
            return "hybrid" if has_v1 else "v2"
        return "v1" if has_v1 else "none"

    def version(self, controller: str) -> int:
        """Return 2 or 1, the version that has *controller* (with its v2 name: ``io``); 0 if the host lacks it."""
        if self.unified is not None and (controller in self.v2_controllers or controller in V2_ALWAYS):
            return 2
        return 1 if V1_NAMES.get(controller, controller) in self.v1 else 0

    def root(self, controller: str) -> str | None:
        """Return the mount point of the hierarchy that has *controller*, or None."""
        version = self.version(controller)
        if version == 2:
            return self.unified
        return self.v1[V1_NAMES.get(controller, controller)] if version else None

    def lack(self, controller: str) -> tuple[str, str]:
        """Return why a user without root has no *controller*, and the cure."""
        if self.unified is not None:
            cause = f"{self.unified}, which was given to this user, has no {controller} controller"
            return cause, "leave it out, or have it enabled in cgroup.subtree_control of the group above"
        cause = "this user may make no control group, so no limit would hold"
        return cause, "leave it out, be root, or end all boxes and: systemd-run --user --scope -p Delegate=yes COMMAND"

    def roots(self) -> list[str]:
        """Return the mount points of all hierarchies, each once, that of version 2 first."""
        unified = [self.unified] if self.unified is not None else []
        return [*unified, *dict.fromkeys(self.v1.values())]


NONE = Hierarchies(None, (), {})


def hierarchies(mountinfo: str | None = None, v2_controllers: str | None = None) -> Hierarchies:
    """Find the hierarchies in the text of /proc/self/mountinfo; see cgroups(7).

    *v2_controllers* is the text of ``cgroup.controllers`` in the root of cgroup2. A text that is None is read from this
    host. If a hierarchy has several mounts, the one that shows its root is used, or else the first. For a user without
    root, the directory that was given to this user is the root of the only hierarchy, or there is none.
    """
    if mountinfo is None and user_namespaces.is_rootless():
        given = user_namespaces.groups
        return Hierarchies(given, proc.text(f"{given}/cgroup.controllers").split(), {}) if given else NONE
    unified: str | None = None
    v1: dict[str, str] = {}
    lines = (proc.text("/proc/self/mountinfo") if mountinfo is None else mountinfo).splitlines()
    mounts = [proc.Mount(line) for line in lines if " - cgroup" in line]
    for mount in sorted(mounts, key=lambda mount: mount.root != "/"):  # sorted() keeps the order of equals
        if mount.type == "cgroup2":
            unified = unified or mount.point
        elif mount.type == "cgroup":
            for option in mount.super_options:
                if option in V1_CONTROLLERS or option.startswith(NAMED):
                    v1.setdefault(option, mount.point)
    if v2_controllers is None:
        v2_controllers = proc.text(f"{unified}/cgroup.controllers") if unified else ""
    return Hierarchies(unified, v2_controllers.split(), v1)
