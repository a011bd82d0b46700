"""What really went wrong when a wall was left out: measured from outside, on the box itself, while it waits.

Each finding is a sentence with the figures in it. That the host is whole is measured in the same way, at the end.
"""

from __future__ import annotations

import contextlib
import errno
import os

from tinybox.container.process.run_in_child import RunInChild
from tinybox.errors import TinyboxError
from tinybox.isolation.capabilities import DEFAULT
from tinybox.linux import capability, proc, process
from tinybox.seeing import snapshot

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    Measure: TypeAlias = Callable[["ProcessPair"], str]

SIGTERM = 15


class ProcessPair:
    """Where to look: the pids of parent and child on the host."""

    def __init__(self, parent: int, child: int) -> None:
        self.parent, self.child = parent, child


def outer_mounts(parent: int) -> list[proc.Mount]:
    """Return the mounts of the throw-away namespace that *parent* holds open, as one reads who goes there; setns(2).

    TinyboxError: who went there could not look.
    """
    told, telling = os.pipe()
    with open(told, encoding="utf-8", errors="replace") as reader, open(telling, "wb") as writer:

        def look() -> None:
            process.setns(_outer_namespace(parent), process.CLONE_NEWNS)
            with open("/proc/self/mountinfo", "rb") as file:
                writer.write(file.read())
            writer.flush()

        with RunInChild(look):
            writer.close()
            return proc.mountinfo(reader.read())


def _outer_namespace(parent: int) -> int:
    """Open the mount namespace that *parent* has a file descriptor of and is not in; FileNotFoundError: none."""
    own = os.stat(f"/proc/{parent}/ns/mnt").st_ino
    for fd in os.listdir(f"/proc/{parent}/fd"):
        path = f"/proc/{parent}/fd/{fd}"
        with contextlib.suppress(FileNotFoundError):  # closed since
            if os.readlink(path).startswith("mnt:") and os.stat(path).st_ino != own:
                return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    raise FileNotFoundError(errno.ENOENT, "no throw-away mount namespace", f"/proc/{parent}/fd")


def _private_mounts(scene: ProcessPair) -> str:
    host = {mount.point for mount in _mounts("self")}
    leaked = [mount for mount in outer_mounts(scene.parent) if mount.point not in host]
    names = ", ".join(f"{mount.type} on {mount.point}" for mount in leaked[:3])
    if not leaked:
        return "nothing has leaked: a new user namespace makes every mount it copies a slave by itself"
    return f"{len(leaked)} mounts of the box now stand outside of it: {names}, ... On a host they would be the host's"


def _pivot(scene: ProcessPair) -> str:
    box, host = os.stat(f"/proc/{scene.child}/root/"), os.stat("/")
    same = "the host's /" if (box.st_dev, box.st_ino) == (host.st_dev, host.st_ino) else "another directory"
    seen = len(_mounts(str(scene.child)))
    return f"the box's / is {same} (device {box.st_dev}, inode {box.st_ino}), with {seen} mounts in sight"


def _proc(scene: ProcessPair) -> str:
    entries = os.listdir(f"/proc/{scene.child}/root/proc")
    return f"/proc in the box has {len(entries)} entries, and on the host {len(os.listdir('/proc'))}"


def _cgroup(scene: ProcessPair) -> str:
    with open(f"/proc/{scene.child}/cgroup", encoding="utf-8") as box:
        own = box.read()
    with open(f"/proc/{scene.parent}/cgroup", encoding="utf-8") as parent:
        same = parent.read() == own
    with_whom = "the same groups as tinybox itself" if same else "groups of its own"
    return f"the box is in {with_whom}: {own.splitlines()[-1]}"


def _caps(scene: ProcessPair) -> str:
    kept = int(_status(scene.child)["CapEff"], 16)
    named = [name for number, name in enumerate(capability.NAMES) if kept >> number & 1]
    more = [name for name in named if name not in DEFAULT]
    return f"root in the box has {len(named)} capabilities, {len(more)} more than by default: {', '.join(more[:4])} ..."


def _seccomp(scene: ProcessPair) -> str:
    return f"/proc/PID/status says Seccomp: {_status(scene.child)['Seccomp']}, where 2 means a filter and 0 means none"


def _loopback(scene: ProcessPair) -> str:
    return f"lo is {snapshot.links(scene.child)['lo']}"


MEASURES: dict[str, Measure] = {
    "private-mounts": _private_mounts,
    "pivot": _pivot,
    "proc": _proc,
    "cgroup": _cgroup,
    "caps": _caps,
    "seccomp": _seccomp,
    "loopback": _loopback,
}


class Init:
    """What becomes of orphans without an init: the most zombies seen at once among the children of PID 1."""

    def __init__(self) -> None:
        self.zombies, self.catches = 0, True

    def look(self, pid: int) -> None:
        """Look once at the children of process *pid*, and at the signals that it has handlers for."""
        with contextlib.suppress(OSError, KeyError):
            with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
                states = [_status(int(child)).get("State", "")[:1] for child in file.read().split()]
            self.zombies = max(self.zombies, states.count("Z"))
            self.catches = bool(int(_status(pid)["SigCgt"], 16) >> SIGTERM - 1 & 1)

    def __str__(self) -> str:
        caught = "catches SIGTERM" if self.catches else "has no handler for SIGTERM, which is lost on it"
        return f"at most {self.zombies} zombies at once were waiting for PID 1, which {caught}"


def measured(name: str, scene: ProcessPair) -> str:
    """Return what went wrong with *name* left out, in figures; of a box that is gone, that it is."""
    try:
        return MEASURES[name](scene) if name in MEASURES else ""
    except (OSError, KeyError):
        return "the box was gone before it could be looked at"
    except TinyboxError as error:
        return f"nobody could look: {error}"


def escaped(found: str) -> str:
    """Return in words what the climb out of chroot(2) has *found*: a root directory, by device and inode."""
    info = os.stat("/")
    if not found:
        return "the climb out of the new root was refused"
    where, _, entries = found.partition(" ")
    same = "the host's own" if where == f"{info.st_dev}:{info.st_ino}" else "not the host's"
    return f"a process of the box climbed out: it stood in a / with {entries} entries, {same} (device:inode {where})"


def host_is_whole(before: dict[str, str], after: dict[str, str]) -> str:
    """Return whether the host's mounts, its /proc among them, are as they were."""
    if "/proc" in {mount.point for mount in _mounts("self")} and before == after:
        return f"the host: its {len(after)} mounts are as before, and /proc is among them"
    return f"the host: {len(before)} mounts before, {len(after)} after"


def _mounts(pid: str) -> list[proc.Mount]:
    with open(f"/proc/{pid}/mountinfo", encoding="utf-8", errors="replace") as file:
        return proc.mountinfo(file.read())


def _status(pid: int) -> dict[str, str]:
    with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as file:
        return proc.status(file.read())
