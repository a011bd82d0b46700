"""version and info: facts about tinybox, this host and the store; the fields have the names of docker's API.

Each value is read from the kernel, from the store or from files of the user. A field that has no meaning without a
daemon, such as its number of goroutines, is absent.
"""

from __future__ import annotations

import os
import platform
import re
import time
import uuid
from typing import TYPE_CHECKING, Any

from tinybox.container.config import defaults
from tinybox.container.network import definitions
from tinybox.container.views import listing, units
from tinybox.errors import TinyboxError
from tinybox.images.reference import DOCKER
from tinybox.images.store import Store, this_architecture
from tinybox.isolation.cgroups.hierarchies import hierarchies
from tinybox.linux import proc
from tinybox.linux.filesystem import overlay_refusal

if TYPE_CHECKING:
    from tinybox.container.records.paths import Paths
    from tinybox.isolation.cgroups.hierarchies import Hierarchies


API, OLDEST_API = "1.50", "1.24"  # the version of docker's API whose names and types the fields have
HUB = "https://index.docker.io/v1/"  # docker's name of the registry for names without a host
PROXIES = {"HttpProxy": "http_proxy", "HttpsProxy": "https_proxy", "NoProxy": "no_proxy"}
_SWARM = {"NodeID": "", "NodeAddr": "", "LocalNodeState": "inactive", "ControlAvailable": False, "Error": ""}


def versions(version: str) -> dict[str, Any]:
    """Return docker's two parts, Client and Server, of tinybox's *version*: both are one program; see uname(2)."""
    python = platform.python_version()
    engine = {
        "Version": version,
        "ApiVersion": API,
        "Os": "linux",
        "Arch": this_architecture(),
        "PythonVersion": python,
    }
    server = {**engine, "MinAPIVersion": OLDEST_API, "KernelVersion": platform.release()}
    part = {"Name": "Engine", "Version": version, "Details": {**server, "Experimental": "false"}}
    return {
        "Client": {"Platform": {"Name": "tinybox"}, **engine, "DefaultAPIVersion": API, "Context": "default"},
        "Server": {"Platform": {"Name": "tinybox"}, "Components": [part], **server},
    }


def information(paths: Paths, version: str) -> dict[str, Any]:
    """Return the facts of `info`: what the store holds, and what this host can do; sizes are in bytes."""
    where = hierarchies()
    return {
        "ID": _id(paths),
        **_held(paths),
        **_limits(where),
        **_machine(),
        **_engine(paths, where, version),
        **_absent(),
        **_registries(),
        **{name: _proxy(variable) for name, variable in PROXIES.items()},
        "ClientInfo": {"Debug": False, **versions(version)["Client"], "Plugins": [], "Warnings": None},
    }


def _held(paths: Paths) -> dict[str, int]:
    words = [listed.word for listed in listing.containers(paths, at_rest=True)]
    running = sum(word in ("running", "restarting") for word in words)
    paused = words.count("paused")
    return {
        "Containers": len(words),
        "ContainersRunning": running,
        "ContainersPaused": paused,
        "ContainersStopped": len(words) - running - paused,
        "Images": len(Store(paths.root).images()),
    }


def _limits(where: Hierarchies) -> dict[str, Any]:
    """Return which limits this host has, by its controllers; see cgroups(7)."""
    memory, cpu = (bool(where.version(name)) for name in ("memory", "cpu"))
    return {
        "MemoryLimit": memory,
        "SwapLimit": memory and os.path.exists("/proc/swaps"),
        "CpuCfsPeriod": cpu,
        "CpuCfsQuota": cpu,
        "CPUShares": cpu,
        "OomKillDisable": where.version("memory") == 1,  # cgroup v2 has no such switch
        "CPUSet": bool(where.version("cpuset")),
        "PidsLimit": bool(where.version("pids")),
        "IPv4Forwarding": _read("/proc/sys/net/ipv4/ip_forward") == "1",
        "CgroupDriver": "cgroupfs",
        "CgroupVersion": str(where.version("memory") or (2 if where.mode == "v2" else 1)),
    }


def _machine() -> dict[str, Any]:
    """Return the facts of uname(2), os-release(5), sched_getaffinity(2) and /proc/meminfo."""
    release = _os_release()
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "KernelVersion": platform.release(),
        "OperatingSystem": release.get("PRETTY_NAME", "Linux"),
        "OSVersion": release.get("VERSION_ID", ""),
        "OSType": "linux",
        "Architecture": platform.machine(),
        "NCPU": len(os.sched_getaffinity(0)),
        "MemTotal": memory,
        "Name": platform.node(),
        "SystemTime": units.stamp(time.time_ns()),
    }


def _engine(paths: Paths, where: Hierarchies, version: str) -> dict[str, Any]:
    try:
        networks = {network.driver for network in definitions.every(paths)}
    except TinyboxError:
        networks = set()
    return {
        "ServerVersion": version,
        "Driver": overlay_refusal.driver(),
        "DriverStatus": [["Backing Filesystem", _file_system(paths.root)]],
        "DockerRootDir": paths.root,
        "LoggingDriver": defaults.settings().get(defaults.DRIVER, "json-file"),
        "ConfigurationFiles": [{"Path": path, "Settings": kept} for path, kept in defaults.files().items()],
        "DefaultRuntime": "tinybox",
        "Runtimes": {"tinybox": {"path": "tinybox-oci"}},
        "Plugins": {
            "Volume": ["local"],
            "Network": sorted({"bridge", "host", "null", *networks}),
            "Authorization": None,
            "Log": ["json-file", "local", "none"],
        },
        "SecurityOptions": ["name=seccomp,profile=builtin", *(["name=cgroupns"] if where.unified else [])],
        "Warnings": [f"WARNING: No {name} limit support" for name in ("memory", "pids") if not where.version(name)],
    }


def _absent() -> dict[str, Any]:
    """Return docker's fields about what tinybox does not have, with the values that docker has without it."""
    return {
        "Debug": False,
        "ExperimentalBuild": False,
        "LiveRestoreEnabled": True,  # no container ends with a daemon
        "Isolation": "",
        "InitBinary": "tinybox:init",
        "Labels": [],
        "GenericResources": None,
        "CDISpecDirs": [],
        "Swarm": {**_SWARM, "RemoteManagers": None},
    }


def _registries() -> dict[str, Any]:
    """Return what docker's and podman's files say about registries; see images/registry/hosts.py."""
    from tinybox.images.registry import hosts

    try:
        mirrors = [place.host for place in hosts.places(DOCKER, "library") if place.is_mirror]
    except TinyboxError:  # a command that talks to a registry reports the damaged file
        mirrors = []
    hub = {"Name": DOCKER, "Mirrors": mirrors, "Secure": True, "Official": True}
    loopback = ["::1/128", "127.0.0.0/8"]
    return {
        "IndexServerAddress": HUB,
        "RegistryConfig": {"IndexConfigs": {DOCKER: hub}, "InsecureRegistryCIDRs": loopback, "Mirrors": mirrors},
    }


def _proxy(variable: str) -> str:
    """Return the proxy in an environment *variable*, in capitals or not; a user and a password are hidden."""
    value = os.environ.get(variable.upper()) or os.environ.get(variable, "")
    return re.sub(r"//[^/@]*@", "//xxxxx:xxxxx@", value)


def _id(paths: Paths) -> str:
    """Return docker's ID of an engine, a UUID: always the same for one store on one machine; see machine-id(5)."""
    seed = f"tinybox {_read('/etc/machine-id') or platform.node()} {os.path.realpath(paths.root)}"
    return str(uuid.uuid5(uuid.NAMESPACE_URL, seed))


def _file_system(path: str) -> str:
    """Return the kind of file system that *path* is on, such as ext4; see proc_pid_mountinfo(5)."""
    try:
        device = os.stat(path).st_dev
    except FileNotFoundError:
        return "unknown"
    mounts = proc.mountinfo(_read("/proc/self/mountinfo"))
    number = f"{os.major(device)}:{os.minor(device)}"
    return next((each.type for each in mounts if each.device == number), "unknown")


def _os_release() -> dict[str, str]:
    """Return the fields of os-release(5)."""
    lines = _read("/etc/os-release") or _read("/usr/lib/os-release")
    pairs = (line.partition("=") for line in lines.splitlines())
    return {name: value.strip("\"'") for name, _, value in pairs if value}


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""
