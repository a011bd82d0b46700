"""The fields of docker's JSON (tests/data/docker_api.json), and a check that a document of tinybox's has each of them.

The facts come from docker itself, see tools/docker_api_facts.py. A field is left out for a reason that ABSENT says, or
because docker leaves it out as well when there is nothing to say (WHEN_SET).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FACTS: dict[str, Any] = json.loads((Path(__file__).parents[1] / "data/docker_api.json").read_text())
_KINDS: dict[str, type | tuple[type, ...]] = {"text": str, "bool": bool, "number": (int, float), "any": object}

_SWARM = "of swarm, for many machines"
_WINDOWS = "for Windows only"
_GO = "a Python program is not compiled"
_DAEMON = "of a daemon, which tinybox does not have"
_CONTAINERD = "docker has it only with the image store of containerd"
ABSENT = {
    "ContainerInspectResponse.ImageManifestDescriptor": _CONTAINERD,
    "ImageInspect.Descriptor": _CONTAINERD,
    "ImageInspect.Manifests": _CONTAINERD,
    "ImageInspect.VirtualSize": "left out by docker since version 1.44 of its API",
    "ImageInspect.OsVersion": _WINDOWS,
    "ContainerConfig.ArgsEscaped": _WINDOWS,
    "ImageConfig.ArgsEscaped": _WINDOWS,
    "ContainerConfig.NetworkDisabled": "left out by docker, too, unless a client of the API asks for it",
    "ContainerConfig.MacAddress": "left out by docker since version 1.44 of its API: NetworkSettings has it",
    "ContainerConfig.Shell": "docker leaves it out when the image does not set it",
    "HostConfig.KernelMemoryTCP": "left out by docker since version 1.42 of its API",
    "NetworkInspect.Peers": _SWARM,
    "NetworkInspect.Services": _SWARM,
    "Volume.ClusterVolume": _SWARM,
    **{f"{command}.{name}": _GO for command in ("info", "version") for name in ("BuildTime", "GitCommit", "GoVersion")},
    **{f"info.{name}": _DAEMON for name in ("NEventsListener", "NFd", "NGoroutines")},
    **{
        f"info.{name}": "tinybox does what containerd, runc and docker-init do"
        for name in ("ContainerdCommit", "RuncCommit", "InitCommit")
    },
    **{
        f"system df -v.{name}": "the build cache does not record when an entry is used"
        for name in ("InUse", "LastUsedAt", "LastUsedSince", "UsageCount")
    },
}
# Docker leaves these out when nothing is set, and so does tinybox.
WHEN_SET = {
    "ContainerInspectResponse.SizeRw", "ContainerInspectResponse.SizeRootFs", "ContainerConfig.Healthcheck",
    "ContainerConfig.StopTimeout", "ContainerConfig.StopSignal", "ContainerConfig.ExposedPorts",
    "ContainerState.Health", "ImageInspect.Variant",
    "MountPoint.Name", "MountPoint.Driver", "Volume.Status", "Volume.UsageData",
    "IPAMConfig.Gateway", "IPAMConfig.IPRange", "IPAMConfig.AuxiliaryAddresses", "EndpointIPAMConfig.IPv4Address",
    "EndpointIPAMConfig.IPv6Address", "EndpointIPAMConfig.LinkLocalIPs", "HostConfig.Init", "HostConfig.Mounts",
    "HostConfig.Annotations", "HostConfig.Tmpfs", "HostConfig.Sysctls", "HostConfig.StorageOpt",
    *(f"HealthConfig.{name}" for name in "Test Interval Timeout Retries StartPeriod StartInterval".split()),
    *(f"ImageConfig.{name}" for name in "User ExposedPorts Healthcheck Volumes Labels StopSignal Shell".split()),
    *(f"ImageConfig.{name}" for name in "Env Cmd WorkingDir Entrypoint OnBuild".split()),
    *(f"Mount.{name}" for name in FACTS["definitions"]["Mount"] if name not in ("Type", "Target")),
    *(f"{owner}.{name}" for owner, fields in FACTS["definitions"].items() for name in fields
      if owner.startswith("Mount") and owner.endswith(("Options", "Config"))),
}  # fmt: skip
# Docker has null here: no value was given, which is not the same as zero.
NULL = {"HostConfig.MemorySwappiness", "HostConfig.OomKillDisable", "HostConfig.PidsLimit", "HostConfig.Init"}


def differences(value: Any, name: str) -> list[str]:
    """Return a line for each field of the definition *name* that *value* lacks, or that has another type there."""
    return _compared(value, f"#{name}", name, "")


def printed(value: Any, command: str) -> list[str]:
    """Return the differences of *value*, which a command has printed with --format json, from what docker prints."""
    return _compared(value, FACTS["printed"][command], command, "")


def _compared(value: Any, kind: Any, owner: str, where: str) -> list[str]:
    if isinstance(kind, str) and kind.startswith("#"):
        name = kind[1:]
        return [] if name not in FACTS["definitions"] else _compared(value, FACTS["definitions"][name], name, where)
    if isinstance(kind, list):
        if not isinstance(value, list):
            return [f"{where}: {value!r} is no list"]
        return [line for at, each in enumerate(value) for line in _compared(each, kind[0], owner, f"{where}[{at}]")]
    if isinstance(kind, dict):
        return _fields(value, kind, owner, where) if isinstance(value, dict) else [f"{where}: {value!r} is no object"]
    fits = isinstance(value, _KINDS[kind]) and (kind == "any" or isinstance(value, bool) == (kind == "bool"))
    return [] if fits else [f"{where}: {value!r} is no {kind}"]


def _fields(value: dict[str, Any], kinds: dict[str, Any], owner: str, where: str) -> list[str]:
    if "*" in kinds:
        kinds = dict.fromkeys(value, kinds["*"])
    found = []
    for name, kind in kinds.items():
        known = f"{owner}.{name}"
        if name not in value:
            found += [] if known in ABSENT or known in WHEN_SET else [f"{where}.{name}: is missing"]
        elif value[name] is not None:
            found += _compared(value[name], kind, owner, f"{where}.{name}")
        elif kind in ("text", "bool", "number") and known not in NULL | WHEN_SET:
            found.append(f"{where}.{name}: is null")
    return found
