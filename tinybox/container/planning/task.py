"""Task: what the chapters of a plan share. It holds the spec, the bundle's directory, and facts about the host.

Every file of this room gets a Task and returns steps.
"""

from __future__ import annotations

import os

from tinybox.container.records import spec
from tinybox.isolation import overlay

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinybox.container.network.endpoints import Endpoints
    from tinybox.container.process.handles import Handles
    from tinybox.container.records.host import Host
    from tinybox.container.records.spec import Spec
    from tinybox.isolation.cgroups.group import Cgroup

BENCH = "/run"  # a directory that every host has and that the child, in its own mount namespace, can cover


class Task:
    """What the parts of the planner share: the spec, the bundle it lies in, the host, and the live parts to come.

    *container* is its id, *wiring* what connects it with networks; *keyring*: it gets a session keyring of its own.
    """

    def __init__(
        self,
        config: Spec,
        bundle: str,
        host: Host,
        handles: Handles,
        cgroup: Cgroup,
        container: str = "",
        wiring: Endpoints | None = None,
        *,
        keyring: bool = True,
    ) -> None:
        self.config, self.bundle, self.host, self.handles, self.cgroup = config, bundle, host, handles, cgroup
        self.container, self.wiring, self.keyring = container, wiring, keyring
        self.warnings: list[str] = []
        self.linux = config.get("linux", {})
        self.process = config["process"]
        listed = self.linux.get("namespaces", [])
        self.new = [entry["type"] for entry in listed if not entry.get("path")]
        self.joined = {entry["type"]: entry["path"] for entry in listed if entry.get("path")}
        self.shares_mounts = "mount" not in self.new
        self.annotations = config.get("annotations", {})
        self.userns = "user" in self.new or "user" in self.joined
        self.root = os.fsencode(os.path.join(bundle_of(self), config["root"]["path"]))


def layers_of(task: Task) -> list[str]:
    """Return the image's layers, bottom first; none where the bundle's root is a plain directory."""
    return overlay.stack([layer for layer in task.annotations.get(spec.LAYERS, "").split(":") if layer])


def bundle_of(task: Task) -> str:
    """Return where the child finds its bundle.

    Root of a user namespace is nobody on the host: the store is closed to it (0700). So the parent hands it the layers
    and the bundle as mounts, and it lays them out on a bench of its own.
    """
    return os.path.join(BENCH, "bundle") if task.userns and layers_of(task) else task.bundle
