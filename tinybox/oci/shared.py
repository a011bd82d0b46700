"""The root of a container without its own mount namespace: `create` records its mounts, and `delete` removes them."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from tinybox.container.records.spec_types import Spec
    from tinybox.isolation.shared_root import SharedRoot


def root(config: Spec, bundle: str, former: Sequence[int] | None = None) -> SharedRoot | None:
    """Return the root in a mount namespace that is shared; None if the mount namespace is the container's own.

    *former* is the result of its `look` at `create`.
    """
    listed = {entry["type"]: entry.get("path") for entry in config.get("linux", {}).get("namespaces", [])}
    if "mount" in listed and not listed["mount"]:
        return None
    from tinybox.isolation import shared_root

    path = os.path.join(bundle, config["root"]["path"])
    known = (former[0], former[1]) if former else None
    return shared_root.SharedRoot(path, listed.get("mount") or shared_root.OURS, known)
