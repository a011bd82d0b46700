"""The mounts of every container, as OCI's ``mounts``; those that the user asks for are in user_mounts.py."""

from __future__ import annotations

import os

from tinybox.container.config import networking, option_values
from tinybox.linux import user_namespaces

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinybox.container.config.request import Request
    from tinybox.container.records.spec_types import Mount

OPTIONS = ("volume", "mount", "tmpfs", "volume_driver", "volumes_from", "ready_mounts")  # those that ask for mounts


def mounts(request: Request) -> list[Mount]:
    """Return the mounts in the order to make them: /proc, /dev, /sys and mounts below them, then the requested ones."""
    size = (
        option_values.size("shm-size", request.options.get("shm_size") or "64m") or 64 << 20
    )  # 0 means the default, as in docker
    shared_ipc = request.modes["ipc"].startswith(("host", "container:"))
    rootless = request.host.rootless
    readonly = [] if request.privileged else ["ro"]
    safe = ["nosuid", "noexec", "nodev"]
    tty = [] if rootless and not user_namespaces.has_group(5) else ["gid=5"]
    made: list[Mount] = [
        # The kernel mounts no new /proc for a pid namespace that this user does not own.
        _bind("/proc", "/proc", safe) if rootless and request.modes["pid"] == "host" else _new("/proc", "proc", safe),
        _new("/dev", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
        _new("/dev/pts", "devpts", ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", *tty]),
        _sys(request, [*safe, *readonly]),
        _cgroups(request, [*safe, *readonly]),
    ]
    if request.modes["ipc"] == "none":
        pass  # docker's word for a namespace of its own without /dev/shm
    elif shared_ipc:
        made.append(_bind(_shared(request, "/dev/shm"), "/dev/shm", safe))
    else:
        made.append(_new("/dev/shm", "tmpfs", [*safe, "mode=1777", f"size={size}"]))
    if rootless and request.modes["ipc"] == "host":  # only root of the IPC namespace may make another mount of it
        if os.path.isdir("/dev/mqueue"):
            made.append(_bind("/dev/mqueue", "/dev/mqueue", safe))
    elif not shared_ipc or request.modes["userns"] == "host":  # mqueue shows the queues of an IPC namespace
        made.append(_new("/dev/mqueue", "mqueue", safe))
    requested = _requested(request)
    places = {entry["destination"] for entry in requested}
    return made + [entry for entry in networking.etc(request) if entry["destination"] not in places] + requested


def _requested(request: Request) -> list[Mount]:
    """Return the mounts that the user and the image ask for; most containers have none."""
    if not any(map(request.options.get, OPTIONS)) and not request.image.config.get("Volumes"):
        return []
    from tinybox.container.config.volumes import user_mounts

    return user_mounts.mounts(request)


def _shared(request: Request, path: str) -> str:
    """Return a path on the host for *path* of the host or of the container whose IPC namespace is shared."""
    mode = request.modes["ipc"]
    return path if mode == "host" else f"/proc/{request.find_joined(mode.partition(':')[2])}/root{path}"


def _sys(request: Request, options: list[str]) -> Mount:
    """Return the mount of /sys: a new sysfs, or the host's as a bind mount for a user namespace in another's network.

    sysfs shows the network devices of the process that mounts it. A process in a user namespace may mount it only if
    that user namespace owns the network namespace.
    """
    users, network = request.modes["userns"], request.modes["network"]
    if request.host.rootless and network == "host":
        return _bind("/sys", "/sys", ["rro", *options])
    if users != "host" and (network == "host" or (network.startswith("container:") and network != users)):
        return _bind("/sys", "/sys", ["rro", *options])
    return _new("/sys", "sysfs", options)


def _cgroups(request: Request, options: list[str]) -> Mount:
    if request.modes["cgroupns"] == "host":
        return _bind("/sys/fs/cgroup", "/sys/fs/cgroup", [*options, *(f"r{o}" for o in options if o == "ro")])
    return _new("/sys/fs/cgroup", "cgroup", options)


def _new(destination: str, kind: str, options: list[str]) -> Mount:
    return {"destination": destination, "type": kind, "source": kind, "options": options}


def _bind(source: str, destination: str, options: list[str]) -> Mount:
    return {"destination": destination, "type": "bind", "source": source, "options": ["rbind", "rprivate", *options]}
