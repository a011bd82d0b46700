"""From docker's words to OCI's: image config and options become a config.json.

Nothing here is done; all of it is said. What docker gives every container by default stands in this file: its mounts,
the paths it covers, its capabilities, its namespaces.
"""

from __future__ import annotations

import os

from tinybox.container import identity, init, spec, words
from tinybox.errors import UsageError
from tinybox.isolation import capabilities, device_filter, idmap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from tinybox.container.host import Host
    from tinybox.container.spec import Device, Linux, Mount, Namespace, Process, Spec

    Options = dict[str, Any]

PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
MASKED = (
    "/proc/asound /proc/acpi /proc/interrupts /proc/kcore /proc/keys /proc/latency_stats /proc/timer_list "
    "/proc/timer_stats /proc/sched_debug /proc/scsi /sys/firmware /sys/devices/virtual/powercap"
).split()
READONLY = "/proc/bus /proc/fs /proc/irq /proc/sys /proc/sysrq-trigger".split()
MEMORY_LEAST = 6 << 20
_NEW = {"uts": "uts", "pid": "pid", "ipc": "ipc", "network": "network", "cgroupns": "cgroup", "userns": "user"}
_DEFAULT_MODES = {"network": "none", "userns": "host"}
_DENY_ALL = {"allow": False, "access": "rwm"}


class Request:
    """What a user asks for: the *image*'s config and layers, the *command*, and the *options* as they were written."""

    def __init__(  # noqa: PLR0913  these are what a request is
        self,
        container: str,
        name: str,
        image: Any,
        command: Sequence[str],
        options: Options,
        *,
        host: Host,
        find_pid: Callable[[str], int],
        volume: Callable[[str], str],
    ) -> None:
        self.container, self.name, self.image, self.command, self.options = container, name, image, command, options
        self.host, self.find_pid, self.volume = host, find_pid, volume
        self.privileged = bool(options.get("privileged"))
        self.modes = {key: options.get(key) or _DEFAULT_MODES.get(key, "private") for key in _NEW}
        self.user, self.home = identity.resolve(options.get("user") or image.config.get("User") or "0", image.layers)


def configure(request: Request) -> Spec:
    """Return the config.json of the container that *request* describes; UsageError names the option that is wrong."""
    options = request.options
    config: Spec = {
        "ociVersion": spec.OCI_VERSION,
        "process": _process(request),
        "root": {"path": "rootfs", "readonly": bool(options.get("read_only"))},
        "mounts": _mounts(request),
        "annotations": _annotations(request),
        "linux": _linux(request),
    }
    if request.modes["uts"] == "private":
        config["hostname"] = options.get("hostname") or request.container[:12]
    elif options.get("hostname"):
        raise UsageError(f"--hostname {options['hostname']}", f"conflicts with --uts {request.modes['uts']}")
    return config


def arguments(request: Request) -> list[str]:
    """Return the program and its arguments: entrypoint and command, the user's before the image's."""
    image = request.image.config
    if request.options.get("entrypoint"):
        return [request.options["entrypoint"], *request.command]
    found = [*(image.get("Entrypoint") or []), *(request.command or image.get("Cmd") or [])]
    if not found:
        raise UsageError(f"image {request.image.reference}", "names no command to run", "add one after the image")
    return found


def _process(request: Request) -> Process:
    options = request.options
    terminal = bool(options.get("tty"))
    security = [opt.partition("=")[::2] for opt in options.get("security_opt") or ()]
    permitted = _capabilities(request)
    process: Process = {
        "terminal": terminal,
        "user": request.user,
        "args": arguments(request),
        "env": _environment(request, terminal=terminal),
        "cwd": options.get("workdir") or request.image.config.get("WorkingDir") or "/",
        "capabilities": {"bounding": permitted, "effective": permitted, "permitted": permitted},
        "noNewPrivileges": any(
            name.partition(":")[0] == "no-new-privileges" and "false" not in (value, name.partition(":")[2])
            for name, value in security
        ),
    }
    if not process["cwd"].startswith("/"):
        raise UsageError(f"--workdir {process['cwd']}", "is not an absolute path")
    if options.get("ulimit"):
        process["rlimits"] = [words.ulimit(text) for text in options["ulimit"]]
    if options.get("oom_score_adj") is not None:
        process["oomScoreAdj"] = words.whole("oom-score-adj", options["oom_score_adj"], -1000, 1000)
    return process


def _capabilities(request: Request) -> list[str]:
    options, has = request.options, request.host.capabilities
    if request.privileged:
        return list(has)
    wanted = capabilities.wanted(options.get("cap_add") or (), options.get("cap_drop") or (), has)
    asked = {capabilities.named(word) for word in options.get("cap_add") or () if word.upper() != "ALL"}
    return [name for name in wanted if name in has or name in asked]


def _environment(request: Request, *, terminal: bool) -> list[str]:
    variables = dict(line.partition("=")[::2] for line in [PATH, *(request.image.config.get("Env") or [])])
    if request.modes["uts"] == "private":
        variables["HOSTNAME"] = request.options.get("hostname") or request.container[:12]
    if terminal:
        variables["TERM"] = "xterm"
    variables |= words.environment(request.options.get("env") or [], request.options.get("env_file") or [])
    variables.setdefault("HOME", request.home)
    return [f"{name}={value}" for name, value in variables.items()]


def _annotations(request: Request) -> dict[str, str]:
    options, image = request.options, request.image
    mode = options.get("init") or init.FORWARD
    if mode not in init.MODES:
        raise UsageError(f"--init {mode}", "is not a mode of PID 1", "forward, reap or none")
    annotations = {
        spec.NAME: request.name,
        spec.IMAGE: image.id,
        spec.IMAGE_NAME: str(image.reference),
        spec.LAYERS: ":".join(image.layers),
        spec.INIT: mode,
        spec.STOP_SIGNAL: options.get("stop_signal") or image.config.get("StopSignal") or "SIGTERM",
    }
    if options.get("rm"):
        annotations[spec.REMOVE] = "true"
    labels = [f"{key}={value}" for key, value in (image.config.get("Labels") or {}).items()]
    for label in [*labels, *(options.get("label") or ())]:
        key, _, value = label.partition("=")
        annotations[spec.LABEL + key] = value
    return annotations


def _mounts(request: Request) -> list[Mount]:
    size = words.size("shm-size", request.options.get("shm_size") or "64m")
    private_ipc = request.modes["ipc"] == "private"
    readonly = [] if request.privileged else ["ro"]
    safe = ["nosuid", "noexec", "nodev"]
    mounts: list[Mount] = [
        _new("/proc", "proc", safe),
        _new("/dev", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
        _new("/dev/pts", "devpts", ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
        _sys(request, [*safe, *readonly]),
        _cgroups(request, [*safe, *readonly]),
    ]
    if private_ipc:
        mounts += [
            _new("/dev/mqueue", "mqueue", safe),
            _new("/dev/shm", "tmpfs", [*safe, "mode=1777", f"size={size}"]),
        ]
    else:
        mounts += [_bind(_shared(request, path), path, safe) for path in ("/dev/mqueue", "/dev/shm")]
    return mounts + _asked_mounts(request)


def _shared(request: Request, path: str) -> str:
    """Return where *path* of the host, or of the container whose IPC namespace is shared, can be found."""
    mode = request.modes["ipc"]
    return path if mode == "host" else f"/proc/{request.find_pid(mode.partition(':')[2])}/root{path}"


def _sys(request: Request, options: list[str]) -> Mount:
    """sysfs shows the network devices of who mounts it, and a user namespace may mount it only for its own network."""
    if request.modes["userns"] != "host" and request.modes["network"] == "host":
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


def _asked_mounts(request: Request) -> list[Mount]:
    options = request.options
    asked = [words.volume(text) for text in options.get("volume") or ()]
    asked += [words.mount(text) for text in options.get("mount") or ()]
    asked += [words.tmpfs(text) for text in options.get("tmpfs") or ()]
    seen = set()
    for entry in asked:
        if entry["destination"] in seen:
            raise UsageError(f"mount on {entry['destination']}", "is asked for twice", "give each place one mount")
        seen.add(entry["destination"])
        if entry["type"] == "volume":
            entry["source"] = request.volume(entry["source"])
            entry["type"], entry["options"] = "bind", ["rbind", "rprivate", *entry["options"]]
    return sorted(asked, key=lambda entry: entry["destination"].count("/"))


def _linux(request: Request) -> Linux:
    private_users = request.modes["userns"] == "private"
    nodes = _devices(request)
    linux: Linux = {
        "namespaces": _namespaces(request),
        "cgroupsPath": f"/tinybox/{request.container}",
        "resources": _resources(request, nodes),
        "devices": [node for node, _ in nodes],
        "maskedPaths": [] if request.privileged else MASKED,
        "readonlyPaths": [] if request.privileged else READONLY,
    }
    if private_users:
        linux["uidMappings"] = linux["gidMappings"] = [
            {"containerID": 0, "hostID": _first_id(), "size": idmap.RANGE}
        ]
    sysctls = dict(words.pair("sysctl", text, "=", "write NAME=VALUE") for text in request.options.get("sysctl") or ())
    if sysctls:
        linux["sysctl"] = {name: _checked_sysctl(request, name, value) for name, value in sysctls.items()}
    profile = _seccomp(request)
    if profile:
        linux["seccomp"] = profile
    return linux


def _first_id() -> int:
    try:
        with open("/etc/subuid", encoding="utf-8") as file:
            return idmap.default_range(file.read())
    except OSError:
        return idmap.FIRST


def _namespaces(request: Request) -> list[Namespace]:
    made: list[Namespace] = [{"type": "mount"}]
    for key, kind in _NEW.items():
        mode = request.modes[key]
        if mode in ("private", "none") and (mode == "private") != (key == "network"):
            made.append({"type": kind})
        elif mode.startswith("container:"):
            path = {"network": "net", "user": "user"}.get(kind, kind)
            made.append({"type": kind, "path": f"/proc/{request.find_pid(mode.partition(':')[2])}/ns/{path}"})
        elif mode != "host":
            _refuse_mode(key, mode)
    return made


def _refuse_mode(key: str, mode: str) -> None:
    own = "none" if key == "network" else "private"
    raise UsageError(f"--{key} {mode}", "is not a mode of this namespace", f"{own}, host or container:NAME")


def _devices(request: Request) -> list[tuple[Device, str]]:
    asked = [words.device(text) for text in request.options.get("device") or ()]
    if request.privileged:
        asked += [(words.device_node(path, path, "--privileged"), "rwm") for path in host_devices("/dev")]
    return asked


def host_devices(folder: str) -> list[str]:
    """Return the device nodes below *folder*, but for terminals' and shared memory's directories; see mknod(2)."""
    skipped = ("pts", "shm", "mqueue", "fd", ".udev", "console", "ptmx", "tty", "null", "zero", "full", "random", "urandom")
    found = []
    for entry in os.scandir(folder):
        if entry.is_symlink() or (folder == "/dev" and entry.name in skipped):
            continue
        if entry.is_dir():
            found += host_devices(entry.path)
        elif not entry.is_file():
            found.append(entry.path)
    return sorted(path for path in found if _is_device(path))


def _is_device(path: str) -> bool:
    try:
        words.device_node(path, path, "")
    except UsageError:
        return False
    return True


def _resources(request: Request, nodes: list[tuple[Device, str]]) -> dict[str, Any]:
    options = request.options
    resources: dict[str, Any] = {"devices": _device_rules(request, nodes)}
    if options.get("memory"):
        limit = words.size("memory", options["memory"])
        if limit < MEMORY_LEAST:
            raise UsageError(f"--memory {options['memory']}", "is too little", "6m is the least")
        resources["memory"] = {"limit": limit, "swap": _swap(options, limit)}
    elif options.get("memory_swap"):
        raise UsageError(f"--memory-swap {options['memory_swap']}", "needs a memory limit", "add --memory")
    cpu = _cpu(options)
    if cpu:
        resources["cpu"] = cpu
    if options.get("pids_limit"):
        resources["pids"] = {"limit": words.whole("pids-limit", options["pids_limit"], -1, 1 << 22)}
    rates = {
        f"throttle{word.title()}BpsDevice": [
            words.throttle(f"device-{word}-bps", text) for text in options.get(f"device_{word}_bps") or ()
        ]
        for word in ("read", "write")
    }
    if any(rates.values()):
        resources["blockIO"] = {name: rate for name, rate in rates.items() if rate}
    return resources


def _device_rules(request: Request, nodes: list[tuple[Device, str]]) -> list[dict[str, Any]]:
    if request.privileged:
        return [{"allow": True, "access": "rwm"}]
    asked = [
        {"allow": True, "type": node["type"], "major": node["major"], "minor": node["minor"], "access": access}
        for node, access in nodes
    ]
    return [_DENY_ALL, *device_filter.DEFAULT_DEVICES, *asked]


def _swap(options: Options, limit: int) -> int:
    """Return memory and swap together: docker's default is as much swap as memory; -1 is no limit."""
    text = options.get("memory_swap")
    if text == "-1":
        return -1
    total = words.size("memory-swap", text) if text else 2 * limit
    if total < limit:
        raise UsageError(f"--memory-swap {text}", "is less than --memory", "it is memory and swap together")
    return total


def _cpu(options: Options) -> dict[str, Any]:
    cpu: dict[str, Any] = {}
    if options.get("cpus"):
        share = words.number("cpus", options["cpus"])
        most = os.cpu_count() or 1
        if not 0.01 <= share <= most:  # noqa: PLR2004  docker's own bounds
            raise UsageError(f"--cpus {options['cpus']}", f"this host has from 0.01 to {most}.00 CPUs to give")
        cpu |= {"quota": round(share * 100_000), "period": 100_000}
    if options.get("cpu_shares"):
        cpu["shares"] = words.whole("cpu-shares", options["cpu_shares"], 2, 262_144)
    if options.get("cpuset_cpus"):
        cpu["cpus"] = options["cpuset_cpus"]
    return cpu


def _checked_sysctl(request: Request, name: str, value: str) -> str:
    """Return *value* if *name* belongs to a namespace of the container's own; any other would change the host."""
    ipc = name.startswith(("kernel.msg", "kernel.shm", "fs.mqueue.")) or name == "kernel.sem"
    if (ipc and request.modes["ipc"] == "private") or (name.startswith("net.") and request.modes["network"] == "none"):
        return value
    cause = "is not a parameter of a namespace that is the container's own"
    raise UsageError(f"--sysctl {name}={value}", cause, "fs.mqueue.*, kernel.msg*, kernel.shm*, kernel.sem and net.* can be")


def _seccomp(request: Request) -> dict[str, Any] | None:
    chosen = ""
    for text in request.options.get("security_opt") or ():
        name, _, value = text.partition("=")
        if name == "seccomp":
            chosen = value
        elif name.partition(":")[0] != "no-new-privileges":
            raise UsageError(f"--security-opt {text}", "is unknown", "no-new-privileges, seccomp=unconfined or seccomp=FILE")
    if chosen == "unconfined" or (request.privileged and not chosen):
        return None
    if chosen:
        return _profile(chosen)
    from tinybox.isolation.seccomp_default import default_profile

    return default_profile(_capabilities(request), os.uname().machine)


def _profile(path: str) -> dict[str, Any]:
    import json

    try:
        with open(path, encoding="utf-8") as file:
            profile: dict[str, Any] = json.load(file)
    except (OSError, ValueError) as error:
        raise UsageError(f"--security-opt seccomp={path}", f"cannot be read: {error}") from error
    return profile
