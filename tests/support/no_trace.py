"""Everything that a container could leave on the host, read from the kernel before and after a test, and compared.

It takes a handful of directory listings (2 ms), so every kernel test can afford it. Processes are found because
pytest makes itself a subreaper: any process that a test leaves running becomes its child, however often it forked.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.slowness import SLOWNESS

if TYPE_CHECKING:
    from collections.abc import Iterator

Snapshot = dict[str, frozenset[str]]

PR_SET_CHILD_SUBREAPER = 36
PATIENCE = 20.0 * SLOWNESS  # seconds; the kernel frees mounts, links and groups a moment after their last user has gone

# Where containers keep their state. Fixtures that make a store of their own add it here.
STATE = ["/run/tinybox", "/var/lib/tinybox/run", "/var/lib/tinybox/containers"]

# These must not disappear either: losing the host's /proc mount or an open file of another process is a trace, too.
KEPT = ("mount", "network link", "open file")


def become_subreaper() -> None:
    """Make this process the parent of every orphan below it; see PR_SET_CHILD_SUBREAPER in prctl(2)."""
    ctypes.PyDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def reap_orphans() -> None:
    """Wait for orphans that have ended, in place of the host's init. Children that Popen started are left to Popen."""
    for pid in children():
        if Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].startswith("Z"):
            os.waitpid(int(pid), os.WNOHANG)


def children() -> list[str]:
    """List the pids of the children of all threads of this process; see proc_pid_task(5).

    A joined thread may disappear only now, and hand its children to another thread: then read again.
    """
    while True:
        threads = os.listdir("/proc/self/task")
        try:
            return [pid for thread in threads for pid in Path(f"/proc/self/task/{thread}/children").read_text().split()]
        except (FileNotFoundError, ProcessLookupError):
            if set(threads) <= set(os.listdir("/proc/self/task")):
                raise


def room() -> str:
    """Return the name of the control group that holds the containers of this test run."""
    return os.environ.get("TINYBOX_CGROUP_PARENT") or "tinybox"


def is_ours(name: str) -> bool:
    """Tell whether a control group is this run's: its own group, or ``ROOM-test...``, which a test makes beside it."""
    return name == room() or name.startswith(f"{room()}-test")


def names(folder: str) -> list[str]:
    """List *folder*; return nothing if it does not exist."""
    try:
        return os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []


def cgroups() -> Iterator[str]:
    """Find the control groups of this run, in every hierarchy: at its root and below the group of this process.

    Their names begin with TINYBOX_CGROUP_PARENT: so test runs on one machine do not disturb each other.
    """
    mounts = [line.split(" ") for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    tops = {line[4] for line in mounts if line[line.index("-") + 1] in {"cgroup", "cgroup2"}}
    own = {line.rpartition(":")[2].rstrip("\n") for line in Path("/proc/self/cgroup").read_text().splitlines()}
    for top in tops | {top + path for top in tops for path in own if path != "/"}:
        for name in names(top):
            if is_ours(name):
                yield from (folder for folder, _, _ in os.walk(f"{top}/{name}"))


def open_files() -> Iterator[str]:
    """List this process's descriptors, each with its target."""
    for fd in os.listdir("/proc/self/fd"):
        try:
            yield f"{fd} -> {os.readlink(f'/proc/self/fd/{fd}')}"
        except FileNotFoundError:
            continue  # the descriptor that read the directory


def processes() -> Iterator[str]:
    """List the running children of this process with their command lines."""
    for pid in children():
        try:
            words = (
                Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").replace(b"\0", b" ").decode(errors="replace")
            )
            yield f"{pid} {words or Path(f'/proc/{pid}/comm').read_text().strip()}"
        except FileNotFoundError:
            continue  # it has just ended


def snapshot() -> Snapshot:
    """Read all that a container could leave on this host."""
    return {
        "mount": frozenset(Path("/proc/self/mountinfo").read_text().splitlines()),
        "cgroup": frozenset(cgroups()),
        "network link": frozenset(name for _, name in socket.if_nameindex()),
        "network namespace": frozenset(names("/run/netns")),
        "process": frozenset(processes()),
        "open file": frozenset(open_files()),
        "state": frozenset(f"{folder}/{name}" for folder in STATE for name in names(folder)),
    }


def ruleset() -> Snapshot:
    """Read the firewall's rules. This starts a process (10 ms), so it is done once a module."""
    nft = shutil.which("nft") or shutil.which("nft", path="/usr/sbin")
    if nft is None or os.geteuid() != 0:
        return {"nft rule": frozenset()}
    done = subprocess.run([nft, "list", "ruleset"], capture_output=True, text=True, check=False, timeout=60 * SLOWNESS)
    return {"nft rule": frozenset(done.stdout.splitlines())}


def difference(before: Snapshot, after: Snapshot) -> list[str]:
    """Report what is in *after* and was not in *before*, and which of the things that must stay are missing."""
    new = [f"new {kind}: {thing}" for kind in before for thing in sorted(after[kind] - before[kind])]
    gone = [f"lost {kind}: {thing}" for kind in before if kind in KEPT for thing in sorted(before[kind] - after[kind])]
    return new + gone


def settle(before: Snapshot, patience: float = PATIENCE) -> None:
    """Wait until the host is as it was *before*; after *patience* seconds raise AssertionError with the differences."""
    deadline = time.monotonic() + patience
    while True:
        reap_orphans()
        left = difference(before, snapshot())
        if not left:
            return
        if time.monotonic() > deadline:
            raise AssertionError("a trace is left on the host:\n  " + "\n  ".join(left))
        time.sleep(0.02)


@pytest.fixture(autouse=True)
def leaves_no_trace() -> Iterator[None]:
    """Fail a test that leaves a trace on the host, or removes something from it."""
    before = snapshot()
    yield
    settle(before)


@pytest.fixture(autouse=True, scope="module")
def leaves_no_rules() -> Iterator[None]:
    """Fail a module whose tests leave firewall rules; and make this process the parent of all that its tests orphan."""
    become_subreaper()
    before = ruleset()
    yield
    left = difference(before, ruleset())
    assert not left, "\n".join(left)
