"""Rules between the fields of a config.json, from the OCI runtime-spec: timeOffsets need a time namespace, and so on.

No rule depends on the host: the planner finds what this host cannot do.
"""

from __future__ import annotations

from tinybox.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from tinybox.container.records.spec_types import Linux, Process, Rlimit, Spec

HOOKS = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")
CLOCKS = ("monotonic", "boottime")  # the keys of linux.timeOffsets, as in time_namespaces(7)
ACCESS = set("rwm")
# The parameters in /proc/sys that belong to a namespace, by the beginnings of their names; all others are the host's
PARAMETERS = {
    "ipc": ("kernel.msg", "kernel.sem", "kernel.shm", "fs.mqueue."),
    "uts": ("kernel.hostname", "kernel.domainname"),
    "network": ("net.",),
    "user": ("user.",),
}


def check(config: Spec) -> None:
    """Raise UsageError, with the field, for the first rule that *config* breaks."""
    _version(config["ociVersion"])
    if "process" not in config:
        raise UsageError("process", "is missing", "add it: a container runs a program")
    check_process(config["process"])
    _hooks(config)
    _annotations(config)
    linux = config.get("linux", {})
    kinds = _namespaces(linux)
    for name in ("hostname", "domainname"):
        if config.get(name) and "uts" not in kinds:
            raise UsageError(name, "would be the host's", "add a namespace of type uts")
    for name in linux.get("sysctl", {}):
        _parameter(name, kinds)
    _mappings(linux, kinds)
    _mounts(config, kinds)
    _devices(linux)
    check_resources(linux.get("resources", {}))
    _seccomp(linux.get("seccomp", {}))
    _rare(linux, kinds)
    if linux.get("personality", {}).get("flags"):
        raise UsageError("linux.personality.flags", "the specification defines no flags", "leave it out")


def _rare(linux: Any, kinds: list[str]) -> None:
    """Check the fields that few containers have: their modules are loaded only if they are there."""
    if linux.get("memoryPolicy"):
        from tinybox.isolation import memory_policy

        memory_policy.check(linux["memoryPolicy"])
    if linux.get("netDevices"):
        from tinybox.isolation.network import moved_devices

        if "network" not in kinds:
            raise UsageError("linux.netDevices", "would stay the host's", "add a namespace of type network")
        moved_devices.check(linux["netDevices"])
    if linux.get("intelRdt") is not None:
        from tinybox.isolation import resctrl

        resctrl.check(linux["intelRdt"])


def check_process(process: Process) -> None:
    """Raise UsageError for invalid values in a ``process`` object, that of a container or of an exec."""
    _limits(process.get("rlimits", []))
    _variables(process.get("env", []), "process.env")
    if not process["args"][0]:
        raise UsageError("process.args[0]", "is empty", "it names the program")
    score = process.get("oomScoreAdj", 0)
    if not -1000 <= score <= 1000:
        raise UsageError("process.oomScoreAdj", f"{score} is not from -1000 to 1000")
    if process.get("user", {}).get("umask", 0) > 0o777:
        raise UsageError("process.user.umask", "is above 511 (octal 777)")


def _limits(limits: list[Rlimit]) -> None:
    if not limits:
        return
    from tinybox.isolation import rlimits

    seen = set()
    for number, entry in enumerate(limits):
        place = f"process.rlimits[{number}]"
        if entry["type"] not in rlimits.NAMES:
            raise UsageError(f"{place}.type", f"there is no limit {entry['type']}", "see getrlimit(2) for the names")
        if entry["type"] in seen:
            raise UsageError(place, f"{entry['type']} is given twice")
        if entry["soft"] > entry["hard"]:
            raise UsageError(f"{place}.soft", "is above the hard limit")
        seen.add(entry["type"])


def _variables(lines: list[str], place: str) -> None:
    for number, line in enumerate(lines):
        if not line.partition("=")[0]:
            raise UsageError(f"{place}[{number}]", f"{line!r} has no name", "NAME=VALUE; see environ(7)")


def _version(version: str) -> None:
    numbers = version.partition("+")[0].partition("-")[0].split(".")
    if len(numbers) != 3 or not all(number.isdecimal() for number in numbers):
        raise UsageError("ociVersion", f"{version} is not a version in SemVer's format", "such as 1.2.0")
    if numbers[0] != "1":
        raise UsageError("ociVersion", f"{version} is not supported", "1.x is supported")


def _hooks(config: Spec) -> None:
    for kind, hooks in config.get("hooks", {}).items():
        for number, hook in enumerate(hooks):
            if hook.get("timeout", 1) <= 0:
                raise UsageError(f"hooks.{kind}[{number}].timeout", "must be greater than zero", "seconds")
            _variables(hook.get("env", []), f"hooks.{kind}[{number}].env")


def _annotations(config: Spec) -> None:
    if "" in config.get("annotations", {}):
        raise UsageError("annotations", "a key is empty")


def _namespaces(linux: Linux) -> list[str]:
    kinds = [entry["type"] for entry in linux.get("namespaces", [])]
    for number, kind in enumerate(kinds):
        if kind in kinds[:number]:
            raise UsageError(f"linux.namespaces[{number}]", f"{kind} is given twice")
    new = [entry["type"] for entry in linux.get("namespaces", []) if not entry.get("path")]
    if "user" in new and "mount" not in new:
        cause = "root of a new user namespace may not mount in a mount namespace that is not its own"
        raise UsageError("linux.namespaces", cause, "add one of type mount")
    if linux.get("timeOffsets") and "time" not in new:
        raise UsageError("linux.timeOffsets", "there is no new namespace of type time", "add one")
    for clock in linux.get("timeOffsets", {}):
        if clock not in CLOCKS:
            cure = f"only {' and '.join(CLOCKS)} have one"
            raise UsageError(f"linux.timeOffsets.{clock}", "this clock has no offset", cure)
    return kinds


def _parameter(name: str, kinds: list[str]) -> None:
    """Raise UsageError for a kernel parameter that belongs to none of the container's namespaces; see namespaces(7)."""
    place, dotted = f"linux.sysctl.{name}", name.replace("/", ".")
    for kind, beginnings in PARAMETERS.items():
        if dotted.startswith(beginnings):
            if kind not in kinds:
                raise UsageError(place, "would be the host's", f"add a namespace of type {kind}")
            return
    raise UsageError(place, "is not a parameter of a namespace: it would be the host's", "leave it out")


def _mappings(linux: Linux, kinds: list[str]) -> None:
    new = any(entry["type"] == "user" and not entry.get("path") for entry in linux.get("namespaces", []))
    for name in ("uidMappings", "gidMappings"):
        if new and not linux.get(name):
            raise UsageError(f"linux.{name}", "is missing", "a new user namespace needs it")
        if linux.get(name) and "user" not in kinds:
            raise UsageError(f"linux.{name}", "there is no namespace of type user", "add one")


def _mounts(config: Spec, kinds: list[str]) -> None:
    for number, entry in enumerate(config.get("mounts", [])):
        place, options = f"mounts[{number}]", set(entry.get("options", []))
        bind = bool(options & {"bind", "rbind"}) or entry.get("type") == "bind"
        if bool(entry.get("uidMappings")) != bool(entry.get("gidMappings")):
            raise UsageError(place, "uidMappings and gidMappings belong together", "give both or none")
        idmapped = bool(options & {"idmap", "ridmap"}) or bool(entry.get("uidMappings"))
        if idmapped and not bind:
            raise UsageError(place, "only a bind mount can be idmapped here", "add bind or rbind to its options")
        if idmapped and not entry.get("uidMappings") and "user" not in kinds:
            raise UsageError(place, "idmap needs mappings, its own or a user namespace's", "add uidMappings")
        if bind and not entry.get("source"):
            raise UsageError(f"{place}.source", "is missing", "name the host's file or directory to mount")
        if not bind and not entry.get("type") and "remount" not in options:
            raise UsageError(f"{place}.type", "is missing", "add it, or bind to its options")


def _devices(linux: Linux) -> None:
    for number, device in enumerate(linux.get("devices", [])):
        _numbers(device, 0, f"linux.devices[{number}]")
        for name in ("major", "minor"):
            if device["type"] != "p" and name not in device:
                raise UsageError(f"linux.devices[{number}].{name}", "is missing", "only a fifo has none")


def _numbers(device: Mapping[str, Any], least: int, place: str) -> None:
    """Raise UsageError for device numbers below *least* or larger than the kernel's; see makedev(3)."""
    for name, bits in (("major", 12), ("minor", 20)):
        if not least <= device.get(name, 0) < 1 << bits:
            raise UsageError(f"{place}.{name}", f"{device[name]} is not from {least} to {(1 << bits) - 1}")


def check_resources(resources: dict[str, Any]) -> None:
    """Raise UsageError for contradictory values in ``linux.resources``, of a container or of an update."""
    for number, rule in enumerate(resources.get("devices", [])):
        _numbers(rule, -1, f"linux.resources.devices[{number}]")  # -1 means any
        if set(rule.get("access", "")) - ACCESS:
            place = f"linux.resources.devices[{number}].access"
            raise UsageError(place, f"{rule['access']!r} has letters other than r, w and m")
    cpu, block = resources.get("cpu", {}), resources.get("blockIO", {})
    if cpu.get("burst", 0) > cpu.get("quota", 0) > 0:
        raise UsageError("linux.resources.cpu.burst", f"{cpu['burst']} is above the quota {cpu['quota']}")
    if resources.get("memory", {}).get("swappiness", 0) > 100:
        raise UsageError("linux.resources.memory.swappiness", "is not from 0 to 100")
    for number, entry in enumerate(block.get("weightDevice", [])):
        if "weight" not in entry:
            raise UsageError(f"linux.resources.blockIO.weightDevice[{number}].weight", "is missing")
    for name, limits in resources.get("rdma", {}).items():
        if not limits:
            raise UsageError(f"linux.resources.rdma.{name}", "limits nothing", "hcaHandles, hcaObjects or both")


def _seccomp(profile: dict[str, Any]) -> None:
    notifies = any(entry["action"] == "SCMP_ACT_NOTIFY" for entry in profile.get("syscalls", []))
    if profile.get("listenerMetadata") and not profile.get("listenerPath"):
        raise UsageError("linux.seccomp.listenerMetadata", "there is no listenerPath", "add one")
    if notifies and not profile.get("listenerPath"):
        raise UsageError("linux.seccomp.listenerPath", "is missing", "SCMP_ACT_NOTIFY needs an agent that answers")
