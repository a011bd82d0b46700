"""Directories, mounts and a configuration for a container engine, of which nothing stays on the host.

podman and containerd keep files in places that no option moves (/dev/shm, /run, /var/lib/cni), and make bridges. So
each engine runs in a mount namespace where those places are empty, and in a network of its own. A waiting process
holds both namespaces; when it ends, all of that is gone.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import no_trace
from tests.support.boxes import until
from tests.support.slowness import SLOWNESS

if TYPE_CHECKING:
    from collections.abc import Iterator

RUNTIME = str(Path(sys.executable).with_name("tinybox-oci"))
EMPTIED = "/run /dev/shm /var/lib/cni /etc/cni /var/lib/containers /var/lib/containerd"
OPTIONS = {"mnt": "mount", "net": "net", "pid": "pid", "uts": "uts"}  # of nsenter(1)
TIMEOUT = 60.0 * SLOWNESS
PATIENCE = 60.0 * SLOWNESS  # seconds; the last conmon of many may need a while to leave its control group

SETTINGS = """\
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
[network]
network_config_dir = "{folder}/networks"
[engine.runtimes]
tinybox = ["{runtime}"]
"""


class Quarters:
    """Where an engine runs: its *folder* on a disk, and the command prefix that enters its mount namespace."""

    def __init__(self, folder: Path, keeper: int, name: str, *, pids: bool) -> None:
        kinds = OPTIONS if pids else ("mnt", "net")
        self.folder, self.keeper, self.has_pids = folder, keeper, pids
        self.enter = ["nsenter", *(f"--{OPTIONS[kind]}=/proc/{keeper}/ns/{kind}" for kind in kinds)]
        self.environment = {**os.environ, "CONTAINERS_CONF": str(folder / "containers.conf")}
        self.group = f"/{no_trace.room()}-test-{name}"

    def __call__(self, *words: str, timeout: float = TIMEOUT, text: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command here and return its output; after *timeout* seconds kill it and fail the test."""
        return subprocess.run(
            [*self.enter, *words],
            env=self.environment,
            input=text,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
        )


@contextlib.contextmanager
def quarters(*tools: str, name: str = "engine", pids: bool = False) -> Iterator[Quarters]:
    """Make the namespaces for an engine that needs *tools*, and end them later; skip the test if a tool is missing.

    With *pids* there are a pid namespace, too, whose processes are killed at the end, and a host name, which is *name*.
    Engines that live at the same time have different names.
    """
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    folder = Path(tempfile.mkdtemp(prefix="tinybox-engine-", dir="/var/tmp"))
    (folder / "containers.conf").write_text(SETTINGS.format(folder=folder, runtime=RUNTIME))
    mounts = f"for place in {EMPTIED}; do [ ! -d $place ] || mount -t tmpfs tmpfs $place; done"
    # As PID 1, sh reaps the orphans of its pid namespace.
    stay = "exec sh -c 'sleep infinity & wait'" if pids else "exec sleep infinity"
    script = f"mount --make-rprivate / && {mounts} && ip link set lo up && echo ready && {stay}"
    apart = ["--pid", "--fork", "--kill-child", "--mount-proc", "--uts"] if pids else []
    script = f"hostname {name} && {script}" if pids else script
    with subprocess.Popen(
        ["unshare", "--mount", "--net", *apart, "sh", "-c", script], stdout=subprocess.PIPE
    ) as keeper:
        assert keeper.stdout is not None
        assert keeper.stdout.readline() == b"ready\n"
        inside = int(Path(f"/proc/{keeper.pid}/task/{keeper.pid}/children").read_text()) if pids else keeper.pid
        place, paths = Quarters(folder, inside, name, pids=pids), os.stat(f"/proc/{inside}/ns/mnt").st_ino
        try:
            yield place
        finally:
            keeper.kill()
    until(lambda: not inhabitants(paths), PATIENCE)
    shutil.rmtree(folder)
    remove_groups(place.group)


def child_of(pid: int) -> int:
    """Return the one child of a process: nsenter(1) forks to enter a pid namespace."""
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text())


def inhabitants(namespace: int) -> list[str]:
    """List the processes in a mount namespace, for example a conmon that cleans up after the last command."""
    no_trace.reap_orphans()
    found = []
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        with contextlib.suppress(OSError):  # it has ended
            if os.stat(f"/proc/{pid}/ns/mnt").st_ino == namespace:
                found.append(pid)
    return found


def remove_groups(name: str) -> None:
    """Remove the control groups that the engine's containers shared, when the last process has left them."""
    for top in [Path("/sys/fs/cgroup"), *Path("/sys/fs/cgroup").iterdir()]:
        for folder, _, _ in os.walk(f"{top}{name}", topdown=False):
            remove_group(Path(folder))


def remove_group(group: Path) -> None:
    """Remove an empty control group."""
    deadline = time.monotonic() + PATIENCE
    while group.exists():
        try:
            group.rmdir()
        except OSError:
            assert time.monotonic() < deadline, f"{group} is in use: {(group / 'cgroup.procs').read_text()}"
            time.sleep(0.05)


def archive_of(folder: Path, layers: list[str]) -> Path:
    """Pack the busybox image's files into a tar archive, for engines to import."""
    archive = folder / "busybox.tar"
    subprocess.run(["tar", "-C", layers[-1], "-cf", str(archive), "."], check=True, timeout=TIMEOUT)
    return archive
