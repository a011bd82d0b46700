"""Checks of the machine: kernel version and configuration, architecture, Python, free CPU time, free disk space."""

from __future__ import annotations

import gzip
import os
import platform
import sys
import time
from typing import TYPE_CHECKING

from tinybox.container.records import host
from tinybox.doctor.finding import NOTE, OK, PROBLEM, Finding, text
from tinybox.linux import abi, process

if TYPE_CHECKING:
    from tinybox.container.records.paths import Paths

NEEDED = (
    "NAMESPACES UTS_NS IPC_NS PID_NS NET_NS CGROUPS MEMCG CGROUP_SCHED CFS_BANDWIDTH CGROUP_PIDS OVERLAY_FS "
    "SECCOMP_FILTER"
).split()
WANTED = {  # and the feature that does not work without
    "USER_NS": "--userns",
    "TIME_NS": "time namespaces",
    "CGROUP_BPF": "the device filter on version 2",
    "CPUSETS": "--cpuset-cpus",
    "POSIX_MQUEUE": "message queues",
    "BRIDGE": "--network bridge",
    "VETH": "--network bridge",
    "NF_TABLES": "published ports",
    "NF_NAT": "published ports",
}
FAIR_SHARE = 0.9  # of one CPU: with less, a measurement of CPU time is not fair
SPIN = 0.1  # seconds
LITTLE_SPACE = 512 << 20  # bytes: for an image, and the files that a lecture writes into boxes


def kernel(_: Paths) -> Finding:
    """Compare uname(2)'s release with what tinybox needs."""
    release, needed = process.kernel_release(), ".".join(map(str, host.MINIMUM))
    if release < host.MINIMUM:
        return Finding("kernel", PROBLEM, f"Linux {platform.release()}, too old", f"boot Linux {needed} or newer")
    if release < (5, 14):
        return Finding("kernel", OK, f"Linux {platform.release()}: without cgroup.kill, boxes are ended one by one")
    return Finding("kernel", OK, f"Linux {platform.release()} (needed: {needed})")


def config(_: Paths) -> Finding:
    """Read the kernel's configuration: /proc/config.gz, or the file that distributions put into /boot."""
    options = _config()
    if not options:
        return Finding("kernel config", OK, "cannot be read here; the features are tried below")
    missing = [name for name in NEEDED if name not in options]
    if missing:
        return Finding("kernel config", PROBLEM, "built without " + " ".join(missing), "boot a distribution's kernel")
    lacking = {name: lost for name, lost in WANTED.items() if name not in options}
    if lacking:
        names = ", ".join(f"{name} ({lost})" for name, lost in lacking.items())
        return Finding("kernel config", NOTE, f"built without {names}", "boot a distribution's kernel")
    return Finding("kernel config", OK, f"all {len(NEEDED) + len(WANTED)} options are built in or modules")


def _config() -> set[str]:
    """Return the options that are y or m; none if the configuration cannot be read."""
    try:
        with gzip.open("/proc/config.gz", "rt", encoding="utf-8") as file:
            content = file.read()
    except OSError:
        content = text(f"/boot/config-{platform.release()}")
    lines = (line.partition("=") for line in content.splitlines() if line.startswith("CONFIG_"))
    return {name.removeprefix("CONFIG_") for name, _, value in lines if value in ("y", "m")}


def architecture(_: Paths) -> Finding:
    """Check that tinybox knows the numbers of this machine's system calls."""
    machine = platform.machine()
    if machine not in abi.MACHINES:
        known = " and ".join(abi.MACHINES)
        return Finding("architecture", PROBLEM, f"{machine}: its system call numbers are unknown", f"use {known}")
    return Finding("architecture", OK, machine)


def headroom(_: Paths) -> Finding:
    """Spin for a moment and compare CPU time with real time: do other processes use this CPU? See clock_gettime(2)."""
    began, used = time.monotonic(), time.process_time()
    while time.monotonic() - began < SPIN:
        pass
    share = (time.process_time() - used) / (time.monotonic() - began)
    cpus = len(os.sched_getaffinity(0))
    found = f"{cpus} CPU{'s' * (cpus > 1)}, {share:.2f} of one is free now, load {os.getloadavg()[0]:.1f}"
    if share < FAIR_SHARE:
        return Finding("CPU headroom", NOTE, found, "measurements of CPU time will be INCONCLUSIVE: end other programs")
    return Finding("CPU headroom", OK, found)


def space(paths: Paths) -> Finding:
    """Read the free space of the file system of the store; see statvfs(3)."""
    where = paths.root
    while not os.path.isdir(where):
        where = os.path.dirname(where)
    state = os.statvfs(where)
    free = state.f_bavail * state.f_frsize
    found = f"{free / 2**30:.1f} GiB and {state.f_favail} inodes free for {paths.root}"
    if state.f_flag & os.ST_RDONLY:
        return Finding("free space", PROBLEM, f"{where} is read-only", "--root DIR or TINYBOX_ROOT on another disk")
    if free < LITTLE_SPACE:
        return Finding("free space", NOTE, found, "tinybox prune -a removes what no box uses")
    return Finding("free space", OK, found)


def python(_: Paths) -> Finding:
    """Report the Python that runs tinybox, and whether the optional packages are installed."""
    from importlib.util import find_spec

    missing = [name for name in ("click", "pyroute2") if find_spec(name) is None]
    found = f"{platform.python_version()}, {sys.executable}"
    if missing:
        return Finding("Python", PROBLEM, f"{found}, without {' and '.join(missing)}", "install tinybox with pip")
    if find_spec("zstandard") is None:
        return Finding("Python", OK, f"{found}; without zstandard no .tar.zst is read")
    return Finding("Python", OK, found)
