"""version and info: facts about tinybox, this host and the store; the fields have the names of docker's API.

Each value is read from the kernel or from the store. A field that has no meaning without a daemon is absent.
"""

from __future__ import annotations

import os
import platform
import time
from typing import TYPE_CHECKING, Any

from tinybox.container.network import definitions
from tinybox.container.views import listing, units
from tinybox.errors import TinyboxError
from tinybox.images.store import Store, this_architecture
from tinybox.isolation.cgroups.hierarchies import hierarchies

if TYPE_CHECKING:
    from tinybox.container.records.paths import Paths
    from tinybox.isolation.cgroups.hierarchies import Hierarchies


def versions(version: str) -> dict[str, Any]:
    """Return docker's two parts, Client and Server, of tinybox's *version*: both are one program; see uname(2)."""
    engine = {"Version": version, "Os": "linux", "Arch": this_architecture()}
    python = platform.python_version()
    details = {**engine, "KernelVersion": platform.release(), "PythonVersion": python}
    return {
        "Client": {"Platform": {"Name": "tinybox"}, **engine, "PythonVersion": python, "Context": "default"},
        "Server": {
            "Platform": {"Name": "tinybox"},
            "Components": [{"Name": "Engine", "Version": version, "Details": details}],
            **details,
        },
    }


def information(paths: Paths, version: str) -> dict[str, Any]:
    """Return the facts of `info`: what the store holds, and what this host can do; sizes are in bytes."""
    where = hierarchies()
    return {**_held(paths), **_limits(where), **_machine(), **_engine(paths, where, version)}


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
        "Driver": "overlay",
        "DockerRootDir": paths.root,
        "LoggingDriver": "json-file",
        "DefaultRuntime": "tinybox",
        "Runtimes": {"tinybox": {"path": "tinybox-oci"}},
        "Plugins": {
            "Volume": ["local"],
            "Network": sorted({"bridge", "host", "null", *networks}),
            "Log": ["json-file", "local", "none"],
        },
        "SecurityOptions": ["name=seccomp,profile=builtin", *(["name=cgroupns"] if where.unified else [])],
        "Warnings": [f"WARNING: No {name} limit support" for name in ("memory", "pids") if not where.version(name)],
    }


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
