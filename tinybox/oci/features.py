"""features: what this runtime can do, for engines that ask before they try; see features.md and features-linux.md."""

from __future__ import annotations

import json

from tinybox import __version__
from tinybox.container import spec
from tinybox.isolation import capabilities, cgroup_hierarchies, mounts, namespaces

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tinybox.oci.words import Words

OLDEST = "1.0.0"


def show(words: Words) -> None:  # noqa: ARG001  it has neither options nor arguments
    """Print the features object."""
    print(json.dumps(features(), indent=2))


def features() -> dict[str, Any]:
    """Return the specification's ``features`` object."""
    where = cgroup_hierarchies.hierarchies()
    plain = [*mounts.ATTRIBUTES, *mounts.PROPAGATION]
    return {
        "ociVersionMin": OLDEST,
        "ociVersionMax": spec.OCI_VERSION,
        "mountOptions": sorted({*plain, *(f"r{name}" for name in plain), "bind", "rbind", "defaults"}),
        "linux": {
            "namespaces": sorted(namespaces.KINDS),
            "capabilities": capabilities.available(),
            "cgroup": {
                "v1": bool(where.v1),
                "v2": where.unified is not None,
                "systemd": False,
                "systemdUser": False,
                "rdma": bool(where.version("rdma")),
            },
            "seccomp": {"enabled": True},
            "intelRdt": {"enabled": False},
            "mountExtensions": {"idmap": {"enabled": True}},
        },
        "annotations": {"tinybox.version": __version__},
    }
