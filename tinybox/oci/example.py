"""The verb spec: write an example config.json, a shell with few capabilities and its own namespaces in rootfs."""

from __future__ import annotations

import json
import os

from tinybox.container.config import configure, linux
from tinybox.container.records import spec
from tinybox.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinybox.container.records.spec_types import Mount, Spec
    from tinybox.oci.command_line import CommandLine

RIGHTS = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]


def write(command: CommandLine) -> None:
    """Write config.json into --bundle, or the current directory; UsageError: the file exists."""
    path = os.path.join(command.value("bundle", "."), "config.json")
    config = rootless(example()) if "rootless" in command.flags else example()
    try:
        with open(path, "x", encoding="utf-8") as file:
            file.write(json.dumps(config, indent="\t") + "\n")
    except FileExistsError as error:
        raise UsageError(path, "exists already", "remove it first") from error


def example() -> Spec:
    """Return the example config.json."""
    return {
        "ociVersion": spec.OCI_VERSION,
        "process": {
            "terminal": True,
            "user": {"uid": 0, "gid": 0},
            "args": ["sh"],
            "env": [f"PATH={configure.PATH}", "TERM=xterm"],
            "cwd": "/",
            "capabilities": dict.fromkeys(("bounding", "effective", "permitted"), RIGHTS),
            "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}],
            "noNewPrivileges": True,
        },
        "root": {"path": "rootfs", "readonly": True},
        "hostname": "tinybox",
        "mounts": mounts(),
        "linux": {
            "resources": {"devices": [{"allow": False, "access": "rwm"}]},
            "namespaces": [{"type": kind} for kind in ("pid", "network", "ipc", "uts", "mount", "cgroup")],
            "maskedPaths": list(linux.MASKED),
            "readonlyPaths": list(linux.READONLY),
        },
    }


def rootless(config: Spec) -> Spec:
    """Return the example for an engine without root's rights: a user namespace in which the caller is root.

    The caller may not mount a sysfs for the host's network, so /sys is the host's; it cannot set limits or groups.
    """
    linux = config["linux"]
    kept: list[Mount] = []
    for mount in config["mounts"]:
        options = [option for option in mount["options"] if not option.startswith(("uid=", "gid="))]
        if mount["destination"] == "/sys":
            options = ["rbind", "nosuid", "noexec", "nodev", "ro"]
            kept.append({"destination": "/sys", "type": "none", "source": "/sys", "options": options})
        else:
            kept.append({**mount, "options": options})
    kinds = [entry["type"] for entry in linux["namespaces"] if entry["type"] != "network"]
    linux["namespaces"] = [{"type": kind} for kind in (*kinds, "user")]
    linux["uidMappings"] = [{"containerID": 0, "hostID": os.geteuid(), "size": 1}]
    linux["gidMappings"] = [{"containerID": 0, "hostID": os.getegid(), "size": 1}]
    del linux["resources"]
    return {**config, "mounts": kept, "linux": linux}


def mounts() -> list[Mount]:
    """Return the default file systems of config-linux.md, and the mount of the control groups."""
    closed = ["nosuid", "noexec", "nodev"]
    table = [
        ("/proc", "proc", []),
        ("/dev", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
        ("/dev/pts", "devpts", ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
        ("/dev/shm", "tmpfs", [*closed, "mode=1777", "size=65536k"]),
        ("/dev/mqueue", "mqueue", closed),
        ("/sys", "sysfs", [*closed, "ro"]),
        ("/sys/fs/cgroup", "cgroup", [*closed, "relatime", "ro"]),
    ]
    return [
        {"destination": place, "type": kind, "source": "shm" if place == "/dev/shm" else kind, "options": options}
        for place, kind, options in table
    ]
