"""The root of a container that has no mount namespace of its own: what create notes of it, and delete takes away."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from tinybox.container.records.spec import Spec
    from tinybox.isolation.shared_root import SharedRoot


def root(config: Spec, bundle: str, former: Sequence[int] | None = None) -> SharedRoot | None:
    """Return the root that lies among the mounts of others; None where the mount namespace is the container's own.

    *former* is what its `look` has told at `create`.
    """
    listed = {entry["type"]: entry.get("path") for entry in config.get("linux", {}).get("namespaces", [])}
    if "mount" in listed and not listed["mount"]:
        return None
    from tinybox.isolation import shared_root

    path = os.path.join(bundle, config["root"]["path"])
    known = (former[0], former[1]) if former else None
    return shared_root.SharedRoot(path, listed.get("mount") or shared_root.OURS, known)
