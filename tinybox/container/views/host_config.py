"""inspect: docker's `HostConfig` (limits, capabilities, modes, mounts, ports), derived from the config.json.

The config.json has the results, not the options that led to them. So CapAdd and CapDrop are the differences from
docker's default set, and a mode is derived from the namespaces.
"""

from __future__ import annotations

import json

from tinybox.container.config.options import OPTIONS
from tinybox.container.network import published_ports
from tinybox.container.records import spec
from tinybox.isolation import capabilities
from tinybox.isolation.cgroups import limits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tinybox.container.config.options import Option
    from tinybox.container.records.spec import Mount, Spec

_MODES = {"PidMode": "pid", "IpcMode": "ipc", "UTSMode": "uts", "CgroupnsMode": "cgroup", "UsernsMode": "user"}


def as_dict(config: Spec) -> dict[str, Any]:
    """Return the ``HostConfig`` of a container with this *config*, with docker's keys."""
    annotations = config.get("annotations", {})
    return {
        **{option.inspect[0]: _value(option, config) for option in OPTIONS if option.inspect[0]},
        **_limits(config),
        **_rights(config),
        **_modes(config),
        **_mounts(config),
        **_names(annotations),
        "GroupAdd": json.loads(annotations.get(spec.GROUP_ADD) or "null"),
        "VolumesFrom": json.loads(annotations.get(spec.VOLUMES_FROM) or "null"),
        "RestartPolicy": _restart(annotations.get(spec.RESTART, "no")),
        "AutoRemove": spec.REMOVE in annotations,
        "Init": annotations.get(spec.INIT, "none") != "none",
        "LogConfig": {"Type": "json-file", "Config": _log(annotations)},
    }


def _value(option: Option, config: Spec) -> Any:
    """Return the value of the field of *config* that *option* sets, or docker's value without the option."""
    *sections, name = option.path
    place: Any = config
    for section in sections:
        place = place.get(section, {})
    return place.get(name, option.inspect[1])


def _limits(config: Spec) -> dict[str, Any]:
    """Return the limits that are more than one field of *config*."""
    cpu = config.get("linux", {}).get("resources", {}).get("cpu", {})
    quota, period = cpu.get("quota", 0), cpu.get("period", limits.DEFAULT_PERIOD)
    return {
        "NanoCpus": quota * 1_000_000_000 // period if quota > 0 and period else 0,
        "Ulimits": [
            {"Name": limit["type"].removeprefix("RLIMIT_").lower(), "Soft": limit["soft"], "Hard": limit["hard"]}
            for limit in config["process"].get("rlimits", [])
        ],
    }


def _rights(config: Spec) -> dict[str, Any]:
    process, linux = config["process"], config.get("linux", {})
    bounding = process.get("capabilities", {}).get("bounding", [])
    no_new = ["no-new-privileges"] if process.get("noNewPrivileges") else []
    unconfined = [] if "seccomp" in linux else ["seccomp=unconfined"]
    return {
        "CapAdd": [name for name in bounding if name not in capabilities.DEFAULT],
        "CapDrop": [name for name in capabilities.DEFAULT if name not in bounding],
        "Privileged": bool(unconfined) and not linux.get("maskedPaths") and not linux.get("readonlyPaths"),
        "SecurityOpt": no_new + unconfined,
        "MaskedPaths": linux.get("maskedPaths", []),
        "ReadonlyPaths": linux.get("readonlyPaths", []),
        "Devices": [
            {"PathInContainer": node["path"], "Major": node["major"], "Minor": node["minor"]}
            for node in linux.get("devices", [])
        ],
    }


def _modes(config: Spec) -> dict[str, str]:
    """Return the mode of each namespace: private, host, or the path of the namespace that was joined."""
    joined = {entry["type"]: entry.get("path") or "private" for entry in config.get("linux", {}).get("namespaces", [])}
    network = joined.get("network", "host")
    wants = json.loads(config.get("annotations", {}).get(spec.NETWORKS) or "[]")
    modes = {name: joined.get(kind, "host") for name, kind in _MODES.items()}
    chosen = wants[0]["name"] if wants else "none"
    return {"NetworkMode": chosen if network == "private" else network, **modes}


def _names(annotations: dict[str, str]) -> dict[str, Any]:
    known = json.loads(annotations.get(spec.NAMES) or "{}")
    published: dict[str, list[dict[str, str]]] = {}
    for port in published_ports.published(annotations):
        outer = {"HostIp": port["hostIp"], "HostPort": str(port["hostPort"] or "")}
        published.setdefault(published_ports.inside(port), []).append(outer)
    return {
        "Dns": known.get("nameserver", []),
        "DnsOptions": known.get("options", []),
        "DnsSearch": known.get("search", []),
        "ExtraHosts": known.get("hosts", []),
        "PortBindings": published,
    }


def _mounts(config: Spec) -> dict[str, Any]:
    mounts = config.get("mounts", [])
    shm = next((entry for entry in mounts if entry["destination"] == "/dev/shm"), None)
    size = next((word[5:] for word in (shm or {}).get("options", []) if word.startswith("size=")), "0")
    return {
        "Binds": [_bind(entry) for entry in mounts if entry.get("type") == "bind"],
        "Tmpfs": {
            entry["destination"]: ",".join(entry.get("options", []))
            for entry in mounts
            if entry.get("type") == "tmpfs" and not entry["destination"].startswith("/dev")
        },
        "ShmSize": int(size) if size.isdecimal() else 0,
    }


def _bind(entry: Mount) -> str:
    mode = "ro" if {"ro", "rro"}.intersection(entry.get("options", [])) else "rw"
    return f"{entry.get('source', '')}:{entry['destination']}:{mode}"


def _restart(text: str) -> dict[str, Any]:
    name, _, most = text.partition(":")
    return {"Name": name, "MaximumRetryCount": int(most or 0)}


def _log(annotations: dict[str, str]) -> dict[str, str]:
    known = {"max-size": spec.LOG_MAX_SIZE, "max-file": spec.LOG_MAX_FILES}
    return {name: annotations[key] for name, key in known.items() if key in annotations}
