"""Convert options for namespaces, --device, --sysctl, --cap-add and the seccomp filter to OCI's ``linux`` section."""

from __future__ import annotations

import os

from tinybox.container.config import limits, option_values, security_option
from tinybox.container.config.request import NAMESPACES
from tinybox.errors import HostError, UnfitValueError, UsageError
from tinybox.isolation import capabilities
from tinybox.isolation.cgroups import group
from tinybox.linux import quick_json as json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tinybox.container.config.request import Request
    from tinybox.container.records.spec_types import Device, Linux, Namespace

MASKED = (
    "/proc/asound /proc/acpi /proc/interrupts /proc/kcore /proc/keys /proc/latency_stats /proc/timer_list "
    "/proc/timer_stats /proc/sched_debug /proc/scsi /sys/firmware /sys/devices/virtual/powercap"
).split()
READONLY = "/proc/bus /proc/fs /proc/irq /proc/sys /proc/sysrq-trigger".split()
_PROFILES: dict[tuple[tuple[str, ...], str], dict[str, Any]] = {}  # without functools, which takes 0.5 ms to load


_NEW = {"network": ("none", "bridge"), "ipc": ("private", "none")}  # the modes that make a new namespace


def linux(request: Request) -> Linux:
    """Return the ``linux`` part of the config.json; see OCI's config-linux."""
    private_users = request.modes["userns"] == "private"
    nodes = _devices(request)
    if request.host.rootless and not request.privileged:
        _refuse_device_rules(request, nodes)
    parent = option_values.cgroup_parent("cgroup-parent", request.options.get("cgroup_parent") or "")
    asked = security_option.parse(request.options.get("security_opt") or ())
    wanted: Linux = {
        "namespaces": _namespaces(request),
        "cgroupsPath": f"/{group.place(request.container, parent or '')}",
        "resources": limits.resources(request, nodes),
        "devices": [node for node, _ in nodes],
        "maskedPaths": [] if request.privileged or asked.open_paths else MASKED,
        "readonlyPaths": [] if request.privileged or asked.open_paths else READONLY,
    }
    users = request.podman_users
    if users is not None and request.home_ids is not None:
        from tinybox.container.config import podman_users

        wanted["uidMappings"], wanted["gidMappings"] = podman_users.maps(
            users, request.home_ids, request.image.layers, request.user
        )
    elif private_users:
        from tinybox.isolation.allotment import FIRST, RANGE

        # The final range is chosen when the container gets its directory in the store; see id_ranges.py.
        size = RANGE if users is None or users.size < 0 else users.size
        wanted["uidMappings"] = wanted["gidMappings"] = [{"containerID": 0, "hostID": FIRST, "size": size}]
    sysctls = _network_defaults(request) | {
        name: _checked_sysctl(request, name, value)
        for name, value in map(option_values.sysctl, request.options.get("sysctl") or ())
    }
    if sysctls:
        wanted["sysctl"] = sysctls
    profile = _seccomp(request, asked.seccomp)
    if profile:
        wanted["seccomp"] = profile
    return wanted


def _namespaces(request: Request) -> list[Namespace]:
    made: list[Namespace] = [{"type": "mount"}]
    for key, kind in NAMESPACES.items():
        mode = request.modes[key]
        if mode in _NEW.get(key, ("private",)):
            made.append({"type": kind})
        elif mode.startswith("container:"):
            path = {"network": "net", "user": "user"}.get(kind, kind)
            made.append({"type": kind, "path": f"/proc/{request.find_joined(mode.partition(':')[2])}/ns/{path}"})
        elif mode != "host":
            _refuse_mode(key, mode)
    if request.host.rootless:
        _refuse_without_root(request)
    if request.modes["pid"] == "host" and request.modes["userns"] != "host":
        cause = "the kernel mounts no /proc for a pid namespace that the user namespace does not own"
        raise UnfitValueError(f"--pid host with --userns {request.modes['userns']}", cause, "leave one of them out")
    return made


def _refuse_without_root(request: Request) -> None:
    """Raise HostError for namespaces that a box of a user without root cannot have."""
    modes = request.modes
    if modes["pid"] != "private" and not request.host.hierarchies.roots():
        cause = "without a control group, only a pid namespace of its own ends all processes of a box"
        raise HostError(f"--pid {modes['pid']}", cause, "leave it out, or be root")
    if modes["userns"] == "private" and request.home_ids is None:
        cause = "the box is in the user's own user namespace already, and a second one needs a part of these ids"
        raise HostError("--userns private", cause, "leave it out, or say which: auto, keep-id or nomap")


def _refuse_device_rules(request: Request, nodes: list[tuple[Device, str]]) -> None:
    """Raise HostError for a rule about devices that would not hold: the modes of the bound device files decide."""
    ruled = [f"--device-cgroup-rule {text}" for text in request.options.get("device_cgroup_rule") or ()]
    ruled += [f"--device {node['path']}: {access}" for node, access in nodes if set(access) != set("rwm")]
    if ruled:
        raise HostError(ruled[0], "only root may load the device filter, so it would not hold", "leave it out")


def _refuse_mode(key: str, mode: str) -> None:
    cure = "private, shareable, none, host or container:NAME" if key == "ipc" else "private, host or container:NAME"
    cure = f"{cure.replace(' or', ',')}, auto, keep-id or nomap" if key == "userns" else cure
    error = UnfitValueError if key == "ipc" else UsageError
    raise error(f"--{key} {mode}", "is not a mode of this namespace", cure)


def _devices(request: Request) -> list[tuple[Device, str]]:
    if not (request.options.get("device") or request.privileged):
        return []
    from tinybox.container.config import device_option

    requested = [device_option.device(text) for text in request.options.get("device") or ()]
    if request.privileged:
        nodes = device_option.host_devices("/dev")
        requested += [(device_option.device_node(path, path, "--privileged"), "rwm") for path in nodes]
    return requested


def _network_defaults(request: Request) -> dict[str, str]:
    """Return docker's parameters of a network namespace that is the container's own; see ip-sysctl and icmp(7).

    Any user in it may listen at a port below 1024, and send and receive echo messages without CAP_NET_RAW, as ping(8)
    does. The groups that may do so are ids of the host: in a user namespace the kernel refuses the ones that it lacks.
    """
    if request.modes["network"] not in _NEW["network"]:
        return {}
    found = {"net.ipv4.ip_unprivileged_port_start": "0"}
    if not request.host.rootless and request.modes["userns"] == "host":
        found["net.ipv4.ping_group_range"] = "0 2147483647"
    return found


def _checked_sysctl(request: Request, name: str, value: str) -> str:
    """Return *value* if *name* is a parameter of one of the container's own namespaces, else raise UsageError.

    Any other parameter would change the host.
    """
    ipc = name.startswith(("kernel.msg", "kernel.shm", "fs.mqueue.")) or name == "kernel.sem"
    if (ipc and request.modes["ipc"] in _NEW["ipc"]) or (
        name.startswith("net.") and request.modes["network"] in ("none", "bridge")
    ):
        return value
    cause = "is not a parameter of a namespace that is the container's own"
    error = UnfitValueError if ipc or name.startswith("net.") else UsageError
    raise error(f"--sysctl {name}={value}", cause, "fs.mqueue.*, kernel.msg*, kernel.shm*, kernel.sem and net.* may be")


def _seccomp(request: Request, chosen: str) -> dict[str, Any] | None:
    if chosen == "unconfined" or (request.privileged and not chosen):
        return None
    if chosen not in ("", "builtin"):
        return _profile(chosen)
    return _default_profile(tuple(capabilities_of(request)), os.uname().machine)


def _default_profile(capabilities: tuple[str, ...], machine: str) -> dict[str, Any]:
    """Return docker's default profile; a program that runs many containers makes it once. Do not change it."""
    if (capabilities, machine) not in _PROFILES:
        from tinybox.isolation.seccomp.default_profile import default_profile

        _PROFILES[capabilities, machine] = default_profile(capabilities, machine)
    return _PROFILES[capabilities, machine]


def _profile(path: str) -> dict[str, Any]:
    """Return the seccomp profile in the file *path*; only its outer shape is checked here, the rest by the compiler."""
    option = f"--security-opt seccomp={path}"
    try:
        with open(path, encoding="utf-8") as file:
            profile: dict[str, Any] = json.load(file)
    except (OSError, ValueError) as error:
        raise UsageError(option, f"cannot be read: {error}") from error
    if wrong := json.misfit(profile, {"syscalls": [{}], "archMap": [{}]}):
        raise UnfitValueError(option, f"is no profile: {wrong}", "an object, as in docker's default profile")
    return profile


def capabilities_of(request: Request) -> list[str]:
    """Return the capabilities after --cap-add, --cap-drop and --privileged are applied to docker's default set.

    A default capability that this host's root lacks is left out; if such a capability was requested by name, HostError
    is raised. With a user namespace there is no such error: root of a user namespace has all capabilities.
    """
    options, has = request.options, request.host.capabilities
    if request.privileged:
        return list(has)
    wanted = capabilities.wanted(options.get("cap_add") or (), options.get("cap_drop") or (), has)
    requested = {capabilities.named(word) for word in options.get("cap_add") or () if word.upper() != "ALL"}
    missing = requested.intersection(wanted) - set(has)
    if missing and request.modes["userns"] == "host":
        raise HostError(", ".join(sorted(missing)), "this host's root does not have it", "leave it out of --cap-add")
    return [name for name in wanted if name in has or name in requested]
