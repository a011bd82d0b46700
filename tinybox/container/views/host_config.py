"""inspect: docker's `HostConfig` (limits, capabilities, modes, mounts, ports), derived from the config.json.

The config.json has the results, not the options that led to them. What a user has written and what cannot be derived
from it (Binds, CapAdd, PortBindings ...) is in an annotation, see config/asked.py. Types are docker's: client libraries
refuse a text where docker has a number.
"""

from __future__ import annotations

import json

from tinybox.container.config.options import OPTIONS
from tinybox.container.records import spec
from tinybox.isolation.cgroups import limits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tinybox.container.config.options import Option
    from tinybox.container.records.spec_types import Spec

# docker's names of the modes: the kind of namespace, and what docker calls a new one and the host's
_MODES = {
    "PidMode": ("pid", "", "host"),
    "IpcMode": ("ipc", "private", "host"),
    "UTSMode": ("uts", "", "host"),
    "CgroupnsMode": ("cgroup", "private", "host"),
    "UsernsMode": ("user", "private", ""),
}
# Values without an option of tinybox's, or without the option: docker's clients find each key, with its type.
_DEFAULTS: dict[str, Any] = {
    **dict.fromkeys("Binds Mounts CapAdd CapDrop SecurityOpt GroupAdd DeviceCgroupRules DeviceRequests Links".split()),
    **dict.fromkeys("BlkioWeightDevice BlkioDeviceReadBps BlkioDeviceWriteBps BlkioDeviceReadIOps".split()),
    **dict.fromkeys("BlkioDeviceWriteIOps MemorySwappiness OomKillDisable StorageOpt".split()),
    **dict.fromkeys("VolumeDriver CgroupParent Cgroup Isolation".split(), ""),
    **dict.fromkeys("BlkioWeight CpuRealtimePeriod CpuRealtimeRuntime CpuCount CpuPercent".split(), 0),
    **dict.fromkeys("IOMaximumIOps IOMaximumBandwidth".split(), 0),
    "Devices": [],
    "Tmpfs": {},
    "Sysctls": {},
    "PortBindings": {},
    "PublishAllPorts": False,
    "Runtime": "tinybox",
}


def as_dict(config: Spec) -> dict[str, Any]:
    """Return the ``HostConfig`` of a container with this *config*, with docker's keys."""
    annotations = config.get("annotations", {})
    written: dict[str, Any] = json.loads(annotations.get(spec.ASKED) or "{}").get("HostConfig", {})
    return {
        **_DEFAULTS,
        **{option.inspect[0]: _value(option, config) for option in OPTIONS if option.inspect[0]},
        **_rights(config),
        **_modes(config),
        **_sizes(config),
        **_names(annotations),
        "GroupAdd": json.loads(annotations.get(spec.GROUP_ADD) or "null"),
        "VolumesFrom": json.loads(annotations.get(spec.VOLUMES_FROM) or "null"),
        "RestartPolicy": _restart(annotations.get(spec.RESTART, "no")),
        "AutoRemove": spec.REMOVE in annotations,
        "Init": annotations.get(spec.INIT, "none") != "none",
        "LogConfig": {"Type": "json-file", "Config": {}},
        **written,
        **_limits(config, written),
    }


def _value(option: Option, config: Spec) -> Any:
    """Return the value of the field of *config* that *option* sets, or docker's value without the option."""
    *sections, name = option.path
    place: Any = config
    for section in sections:
        place = place.get(section, {})
    return place.get(name, option.inspect[1])


def _limits(config: Spec, written: dict[str, Any]) -> dict[str, Any]:
    """Return the limits that are more than one field of *config*; `update` may have changed them since the start.

    A quota of CPU time is shown as it was *written*: as NanoCpus (--cpus), or as CpuQuota and CpuPeriod.
    """
    cpu = config.get("linux", {}).get("resources", {}).get("cpu", {})
    quota, period = cpu.get("quota", 0), cpu.get("period", limits.DEFAULT_PERIOD)
    in_parts = "CpuQuota" in written or "CpuPeriod" in written
    return {
        "NanoCpus": quota * 1_000_000_000 // period if quota > 0 and period and not in_parts else 0,
        "CpuQuota": quota if in_parts else 0,
        "CpuPeriod": cpu.get("period", 0) if "CpuPeriod" in written else 0,
        "Ulimits": [
            {"Name": limit["type"].removeprefix("RLIMIT_").lower(), "Soft": limit["soft"], "Hard": limit["hard"]}
            for limit in config["process"].get("rlimits", [])
        ],
    }


def _rights(config: Spec) -> dict[str, Any]:
    linux = config.get("linux", {})
    masked, readonly = linux.get("maskedPaths", []), linux.get("readonlyPaths", [])
    return {
        "Privileged": "seccomp" not in linux and not masked and not readonly,
        "MaskedPaths": masked,
        "ReadonlyPaths": readonly,
    }


def _modes(config: Spec) -> dict[str, str]:
    """Return docker's mode of each namespace, or the path of the namespace that was joined."""
    listed = {entry["type"]: entry.get("path", "") for entry in config.get("linux", {}).get("namespaces", [])}
    wants = json.loads(config.get("annotations", {}).get(spec.NETWORKS) or "[]")
    modes = {name: listed[kind] or new if kind in listed else old for name, (kind, new, old) in _MODES.items()}
    network = (listed["network"] or (wants[0]["name"] if wants else "none")) if "network" in listed else "host"
    return {"NetworkMode": network, **modes}


def _names(annotations: dict[str, str]) -> dict[str, Any]:
    known = json.loads(annotations.get(spec.NAMES) or "{}")
    return {
        "Dns": known.get("nameserver", []),
        "DnsOptions": known.get("options", []),
        "DnsSearch": known.get("search", []),
        "ExtraHosts": known.get("hosts", []),
    }


def _sizes(config: Spec) -> dict[str, Any]:
    """Return the size of /dev/shm in bytes, and that of the terminal on which the container was made."""
    mounts, console = config.get("mounts", []), config["process"].get("consoleSize", {})
    shm = next((entry for entry in mounts if entry["destination"] == "/dev/shm"), None)
    size = next((word[5:] for word in (shm or {}).get("options", []) if word.startswith("size=")), "0")
    return {
        "ShmSize": int(size) if size.isdecimal() else 0,
        "ConsoleSize": [console.get("height", 0), console.get("width", 0)],
    }


def _restart(text: str) -> dict[str, Any]:
    name, _, most = text.partition(":")
    return {"Name": name, "MaximumRetryCount": int(most or 0)}
