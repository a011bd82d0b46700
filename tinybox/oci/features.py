"""The verb features: print what this runtime supports, for engines; see features.md and features-linux.md.

It describes the program, not the host: if the host's kernel lacks a feature, the container that needs it fails.
"""

from __future__ import annotations

import json

from tinybox.container.config import rules
from tinybox.container.records import spec
from tinybox.isolation import memory_policy, mount_options, namespaces
from tinybox.isolation.seccomp import compiler, filters
from tinybox.linux import capability
from tinybox.version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tinybox.oci.command_line import CommandLine

OLDEST = "1.0.0"
MORE_OPTIONS = "bind rbind remount idmap ridmap tmpcopyup sync async dirsync lazytime nolazytime".split()


def show(command: CommandLine) -> None:  # noqa: ARG001  the verb has neither options nor arguments
    """Print the features object."""
    print(json.dumps(features(), indent=2))


def features() -> dict[str, Any]:
    """Return the specification's ``features`` object."""
    plain = [*mount_options.ATTRIBUTES, *mount_options.PROPAGATION]
    known = {*plain, *(f"r{name}" for name in plain), *MORE_OPTIONS, *mount_options.WITHOUT_EFFECT}
    return {
        "ociVersionMin": OLDEST,
        "ociVersionMax": spec.NEWEST,
        "hooks": list(rules.HOOKS),
        "mountOptions": sorted(known),
        "linux": {
            "namespaces": sorted(namespaces.KINDS),
            "capabilities": list(capability.NAMES),
            "cgroup": {"v1": True, "v2": True, "systemd": False, "systemdUser": False, "rdma": True},
            "seccomp": _seccomp(),
            "apparmor": {"enabled": True},
            "selinux": {"enabled": True},
            "memoryPolicy": {"modes": list(memory_policy.MODES), "flags": list(memory_policy.FLAGS)},
            "intelRdt": {"enabled": True, "schemata": True, "monitoring": True},
            "mountExtensions": {"idmap": {"enabled": True}},
            "netDevices": {"enabled": True},
        },
        "annotations": {"tinybox.version": __version__},
        "potentiallyUnsafeConfigAnnotations": ["tinybox."],  # a prefix: tinybox.layers names directories of the host
    }


def _seccomp() -> dict[str, Any]:
    flags = list(filters.FLAGS)
    return {
        "enabled": True,
        "actions": list(compiler.ACTIONS),
        "operators": [f"SCMP_CMP_{name}" for name in compiler.OPERATORS],
        "archs": sorted({arch for tables in compiler.TABLES.values() for arch in tables}),
        "knownFlags": flags,
        "supportedFlags": flags,
    }
