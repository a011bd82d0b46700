"""What the user asked for, as docker's inspect shows it: values that config.json does not have.

config.json has the results of the options: a volume has become a path, and CAP_ALL a list. An annotation keeps the
options themselves, with docker's keys. A container without such options has no annotation.
"""

from __future__ import annotations

from tinybox.container.config import option_values
from tinybox.container.records import spec
from tinybox.linux import quick_json as json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Any

    from tinybox.container.config.options import Options
    from tinybox.container.config.request import Request

_MODES = {"pid": "PidMode", "ipc": "IpcMode", "uts": "UTSMode", "cgroupns": "CgroupnsMode", "userns": "UsernsMode"}
_LISTS = {"security_opt": "SecurityOpt", "device_cgroup_rule": "DeviceCgroupRules", "group_add": "GroupAdd"}
_RATES = {
    "device_read_bps": "BlkioDeviceReadBps",
    "device_write_bps": "BlkioDeviceWriteBps",
    "device_read_iops": "BlkioDeviceReadIOps",
    "device_write_iops": "BlkioDeviceWriteIOps",
    "blkio_weight_device": "BlkioWeightDevice",
}


def as_text(request: Request, variables: Collection[str]) -> str:
    """Return the annotation for *request*, as JSON; configure() has checked all values before.

    Of the *variables* that the user or the image sets, those are kept that a program has in any case.
    """
    options, image = request.options, request.image.config
    found = _modes(options) | _lists(options) | _mounts(options) | _devices(options)
    found |= _ports(options) | _cpu(options) | _log(options)
    found |= _annotations(options) | _sysctls(options)
    if request.modes["network"].startswith("container:"):
        found["NetworkMode"] = request.modes["network"]
    kept: dict[str, Any] = {"HostConfig": found, "Volumes": _places(request)}
    kept["User"] = options.get("user") or image.get("User") or ""
    for name, option in (("WorkingDir", "workdir"), ("StopSignal", "stop_signal")):
        kept[name] = options.get(option) or image.get(name) or ""
    kept["Env"] = [name for name in spec.GIVEN if name in variables]
    return json.dumps({key: value for key, value in kept.items() if value})


def _modes(options: Options) -> dict[str, str]:
    """Return the modes of namespaces; for pid and uts, docker has no word for ``private``, which is the default."""
    modes = {name: options.get(key) for key, name in _MODES.items()}
    silent = ("PidMode", "UTSMode")
    return {name: "" if mode == "private" and name in silent else mode for name, mode in modes.items() if mode}


def _lists(options: Options) -> dict[str, Any]:
    found: dict[str, Any] = {name: list(options[key]) for key, name in _LISTS.items() if options.get(key)}
    for key, name in (("cap_add", "CapAdd"), ("cap_drop", "CapDrop")):
        words = {f"CAP_{word.upper().removeprefix('CAP_')}" for word in options.get(key) or ()}
        if words:
            found[name] = ["ALL"] if "CAP_ALL" in words else sorted(words)
    return found


def _mounts(options: Options) -> dict[str, Any]:
    if not any(map(options.get, ("volume", "mount", "tmpfs"))):
        return {}
    from tinybox.container.config.volumes import asked_mounts

    return asked_mounts.mounts(options)


def _sysctls(options: Options) -> dict[str, Any]:
    """Return --sysctl; the config.json has docker's own parameters of a network namespace, too."""
    return {"Sysctls": dict(map(option_values.sysctl, words))} if (words := options.get("sysctl")) else {}


def _places(request: Request) -> list[str]:
    """Return where anonymous volumes were asked for: -v without a source, and the image's VOLUME."""
    anonymous = [text for text in request.options.get("volume") or () if ":" not in text]
    return [*anonymous, *(request.image.config.get("Volumes") or {})]


def _devices(options: Options) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for text in options.get("device") or ():
        source, _, rest = text.partition(":")
        inside, _, access = rest.partition(":")
        if inside and not inside.startswith("/"):
            inside, access = "", inside
        row = {"PathOnHost": source, "PathInContainer": inside or source, "CgroupPermissions": access or "rwm"}
        found.setdefault("Devices", []).append(row)
    for key, name in _RATES.items():
        pairs = [text.partition(":")[::2] for text in options.get(key) or ()]
        count = (lambda _, text: int(text)) if not key.endswith("_bps") else option_values.size
        word = "Weight" if key == "blkio_weight_device" else "Rate"
        if pairs:
            found[name] = [{"Path": path, word: count(key, rate)} for path, rate in pairs]
    return found


def _ports(options: Options) -> dict[str, Any]:
    if not options.get("publish"):
        return {"PublishAllPorts": True} if options.get("publish_all") else {}
    from tinybox.container.config import port_option

    bindings: dict[str, list[dict[str, str]]] = {}
    for port in port_option.ports(options["publish"]):
        last = f"-{port['hostPortLast']}" if "hostPortLast" in port else ""
        outer = {"HostIp": port["hostIp"], "HostPort": f"{port['hostPort'] or ''}{last}"}
        bindings.setdefault(f"{port['containerPort']}/{port['protocol']}", []).append(outer)
    return {"PortBindings": bindings, "PublishAllPorts": bool(options.get("publish_all"))}


def _cpu(options: Options) -> dict[str, Any]:
    """Return that the quota was given as such: docker then shows no NanoCpus; the numbers are in config.json."""
    return {name: 1 for key, name in (("cpu_quota", "CpuQuota"), ("cpu_period", "CpuPeriod")) if options.get(key)}


def _log(options: Options) -> dict[str, Any]:
    pairs = [text.partition("=")[::2] for text in options.get("log_opt") or ()]
    driver = options.get("log_driver") or "json-file"
    return {"LogConfig": {"Type": driver, "Config": dict(pairs)}} if pairs or options.get("log_driver") else {}


def _annotations(options: Options) -> dict[str, Any]:
    """Return the user's own annotations; those of tinybox are beside them in config.json."""
    pairs = dict(text.partition("=")[::2] for text in options.get("annotation") or ())
    return {"Annotations": pairs} if pairs else {}
