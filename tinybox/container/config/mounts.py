"""Convert -v, --mount, --tmpfs and the image's VOLUME to OCI's ``mounts``, and add the mounts of every container."""

from __future__ import annotations

import os

from tinybox.container.config import mount_option, networking, option_values
from tinybox.container.records import spec
from tinybox.errors import UsageError
from tinybox.isolation import overlay
from tinybox.linux import user_namespaces

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinybox.container.config.request import Request
    from tinybox.container.records.spec import Mount


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
    requested = _requested_mounts(request)
    places = {entry["destination"] for entry in requested}
    return made + [entry for entry in networking.etc(request) if entry["destination"] not in places] + requested


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


def _place(path: str) -> str:
    """Return a destination in its one normal form, /x for /x/, //x and /y/../x, so that two can be compared."""
    return "/" + os.path.normpath(path).lstrip("/")


def _requested_mounts(request: Request) -> list[Mount]:
    options = request.options
    if (driver := options.get("volume_driver") or "local") != "local":
        raise UsageError(f"--volume-driver {driver}", f'plugin "{driver}" not found', "local")
    requested = [mount_option.volume(text) for text in options.get("volume") or ()]
    requested += [mount_option.mount(text) for text in options.get("mount") or ()]
    requested += [mount_option.tmpfs(text) for text in options.get("tmpfs") or ()]
    requested += options.get("ready_mounts") or ()  # of a build: they are no option of `run`
    for entry in requested:
        entry["destination"] = _place(entry["destination"])
    places = {entry["destination"] for entry in requested}
    requested += [entry for path, entry in _of_others(request).items() if path not in places]
    places = {entry["destination"] for entry in requested}
    declared = dict.fromkeys(map(_place, request.image.config.get("Volumes") or {}))
    requested += [mount_option.mount_of("VOLUME", "volume", "", path, []) for path in declared if path not in places]
    seen = set()
    for entry in requested:
        if entry["destination"] in seen:
            raise UsageError(f"mount on {entry['destination']}", "is asked for twice", "give each place one mount")
        seen.add(entry["destination"])
        if entry["type"] == "volume":
            entry["source"] = request.volume(entry["source"], entry["destination"])
            idmap = ["idmap"] * (request.modes["userns"] != "host")  # owners on disk are the same as inside
            entry["type"], entry["options"] = "bind", ["rbind", "rprivate", *idmap, *entry["options"]]
        elif entry["type"] == "image":
            _mount_image(request, entry)
        if entry["type"] == "bind":  # read-only with all mounts below it; rw is the default, and clears nothing: docker
            deep = "ro" if mount_option.ONLY_TOP in entry["options"] else "rro"
            kept = [option for option in entry["options"] if option not in ("rw", mount_option.ONLY_TOP)]
            entry["options"] = [deep if option == "ro" else option for option in kept]
    return sorted(requested, key=lambda entry: entry["destination"].count("/"))


def _mount_image(request: Request, entry: Mount) -> None:
    """Make *entry*, of --mount type=image, a mount of the image's layers; read-only, because they are the store's."""
    layers = overlay.stack(request.find_image(entry["source"]).layers)
    if len(layers) == 1:
        entry |= {"type": "bind", "source": layers[0], "options": ["rbind", "rprivate", "ro"]}
        entry["options"] += ["idmap"] * (request.modes["userns"] != "host")
        return
    if request.modes["userns"] != "host":
        cause = "root of a user namespace cannot open the layers of an image"
        raise UsageError(f"--mount type=image,source={entry['source']}", cause, "--userns host")
    lower = ":".join(overlay.escape(layer) for layer in reversed(layers))
    entry |= {"type": "overlay", "source": "overlay", "options": ["ro", f"lowerdir={lower}"]}


def of_images(request: Request) -> dict[str, str]:
    """Return the annotations by which the images of --mount type=image cannot be removed while the container exists."""
    fields = [mount_option.fields_of(text) for text in request.options.get("mount") or ()]
    names = [each["source"] for each in fields if each["type"] == "image"]
    return {spec.MOUNTED_IMAGE + request.find_image(name).id: name for name in names}


def _of_others(request: Request) -> dict[str, Mount]:
    """Return the mounts of --volumes-from by their place; of two at the same place the later one."""
    found: dict[str, Mount] = {}
    for text in request.options.get("volumes_from") or ():
        name, colon, mode = text.partition(":")
        if not name:
            raise UsageError(f"--volumes-from {text!r}", "names no container", "CONTAINER or CONTAINER:ro")
        if colon and mode not in ("ro", "rw"):
            raise UsageError(f"--volumes-from {text}", f"invalid mode: {mode}", "ro or rw")
        for entry in request.find_mounts(name):
            if mode == "ro" and "ro" not in entry["options"]:  # rw does not make a read-only mount writable
                entry["options"].append("ro")
            found[entry["destination"]] = entry
    return found
