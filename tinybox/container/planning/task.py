"""Task: the input of the planner, with config.json, the bundle's directory, facts about the host, and the handles.

Every file of this package gets a Task and returns steps.
"""

from __future__ import annotations

import os

from tinybox.container.records import spec
from tinybox.isolation import inherited
from tinybox.linux.filesystem import inside

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinybox.container.network.endpoints import Endpoints
    from tinybox.container.process.handles import Handles
    from tinybox.container.records.host import Host
    from tinybox.container.records.spec_types import Spec
    from tinybox.isolation.cgroups.group import Cgroup
    from tinybox.isolation.confinement import Confinement

STAGING = "/run"  # every host has this directory, and the child can mount over it in its own mount namespace


class Task:
    """The input of the planner: the spec, its bundle, the host, and the handles that its steps will fill.

    *container* is the id, *endpoints* are those in networks; *keyring*: the box gets its own session keyring. The
    *first_process* differs from *process* only for an exec. *engine*: the caller is an engine, which chooses the
    attributes that the container inherits; see `inherited`.
    """

    def __init__(
        self,
        config: Spec,
        bundle: str,
        host: Host,
        handles: Handles,
        cgroup: Cgroup,
        container: str = "",
        endpoints: Endpoints | None = None,
        *,
        keyring: bool = True,
        engine: bool = False,
    ) -> None:
        self.config, self.bundle, self.host, self.handles, self.cgroup = config, bundle, host, handles, cgroup
        self.container, self.endpoints, self.keyring = container, endpoints, keyring
        self.inherited = inherited.differing(engine=engine)
        self.warnings: list[str] = []
        self.run_directory = ""  # RUN/ID of a container of the store; lifecycle.Container sets it
        self.linux = config.get("linux", {})
        self.process = self.first_process = config["process"]
        self.confinement: Confinement | None = None  # the program's seccomp filter; planning/program.py sets it
        self.waits = False  # whether the trampoline waits at the gate until PID 1 lets it go on
        listed = self.linux.get("namespaces", [])
        self.new = [entry["type"] for entry in listed if not entry.get("path")]
        self.joined = {entry["type"]: entry["path"] for entry in listed if entry.get("path")}
        self.shares_mounts = "mount" not in self.new
        self.annotations = config.get("annotations", {})
        self.userns = "user" in self.new or "user" in self.joined
        self.root = os.fsencode(os.path.join(bundle_of(self), config["root"]["path"]))
        # The root as the child's steps name it: the child enters its new root as soon as that is mounted.
        self.new_root = self.root if self.shares_mounts else inside.HERE


def layers_of(task: Task) -> list[str]:
    """Return the directories of the image's layers, bottom first; [] if the bundle's root is a plain directory."""
    listed = task.annotations.get(spec.LAYERS, "")
    if not listed or spec.COPIED in task.annotations:
        return []
    from tinybox.isolation import overlay  # late: neither the bundle of an engine nor `exec` has layers to mount

    return overlay.stack([layer for layer in listed.split(":") if layer])


def bundle_of(task: Task) -> str:
    """Return the path at which the child finds its bundle.

    Root of a user namespace has no rights on the host and cannot enter the store (mode 0700). So the parent passes the
    layers and the bundle to the child as mounts, and the child places them below STAGING.
    """
    return os.path.join(STAGING, "bundle") if task.userns and layers_of(task) else task.bundle


def made_by_clone(task: Task) -> list[str]:
    """Return the namespaces that clone3(2) makes; the child makes the other two, cgroup and time, in later steps."""
    return [kind for kind in task.new if kind not in ("cgroup", "time")]
