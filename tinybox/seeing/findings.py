"""Measure what went wrong with `--omit` and `--chroot`: read from outside, in /proc of the box, while it waits.

Each finding is a sentence with figures. At the end the host's mounts are compared, too, to show that none has changed.
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
    """The pids of parent and child on the host."""

    def __init__(self, parent: int, child: int) -> None:
        self.parent, self.child = parent, child


def outer_mounts(parent: int) -> list[proc.Mount]:
    """Return the mounts of the temporary outer namespace that *parent* has open; a child enters and reads it; setns(2).

    TinyboxError: the child failed.
    """
    reading, writing = os.pipe()
    with open(reading, encoding="utf-8", errors="replace") as reader, open(writing, "wb") as writer:

        def look() -> None:
            process.setns(_outer_namespace(parent), process.CLONE_NEWNS)
            with open("/proc/self/mountinfo", "rb") as file:
                writer.write(file.read())
            writer.flush()

        with RunInChild(look):
            writer.close()
            return proc.mountinfo(reader.read())


def _outer_namespace(parent: int) -> int:
    """Open the mount namespace that *parent* has open but is not in; FileNotFoundError if there is none."""
    own = os.stat(f"/proc/{parent}/ns/mnt").st_ino
    for fd in os.listdir(f"/proc/{parent}/fd"):
        path = f"/proc/{parent}/fd/{fd}"
        with contextlib.suppress(FileNotFoundError):  # parent has closed it since
            if os.readlink(path).startswith("mnt:") and os.stat(path).st_ino != own:
                return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    raise FileNotFoundError(errno.ENOENT, "no outer mount namespace", f"/proc/{parent}/fd")


def _private_mounts(pair: ProcessPair) -> str:
    host = {mount.point for mount in _mounts("self")}
    leaked = [mount for mount in outer_mounts(pair.parent) if mount.point not in host]
    names = ", ".join(f"{mount.type} on {mount.point}" for mount in leaked[:3])
    if not leaked:
        return "nothing has leaked: in a new user namespace, every copied mount is a slave by itself"
    return f"{len(leaked)} mounts of the box are now outside of it: {names}, ... An outer namespace protects the host"


def _pivot(pair: ProcessPair) -> str:
    box, host = os.stat(f"/proc/{pair.child}/root/"), os.stat("/")
    same = "the host's /" if (box.st_dev, box.st_ino) == (host.st_dev, host.st_ino) else "another directory"
    seen = len(_mounts(str(pair.child)))
    return f"the box's / is {same} (device {box.st_dev}, inode {box.st_ino}), and the box sees {seen} mounts"


def _proc(pair: ProcessPair) -> str:
    entries = os.listdir(f"/proc/{pair.child}/root/proc")
    return f"/proc in the box has {len(entries)} entries, /proc on the host has {len(os.listdir('/proc'))}"


def _cgroup(pair: ProcessPair) -> str:
    with open(f"/proc/{pair.child}/cgroup", encoding="utf-8") as box:
        own = box.read()
    with open(f"/proc/{pair.parent}/cgroup", encoding="utf-8") as parent:
        same = parent.read() == own
    groups = "the same groups as tinybox itself" if same else "groups of its own"
    return f"the box is in {groups}: {own.splitlines()[-1]}"


def _caps(pair: ProcessPair) -> str:
    kept = int(_status(pair.child)["CapEff"], 16)
    named = [name for number, name in enumerate(capability.NAMES) if kept >> number & 1]
    more = [name for name in named if name not in DEFAULT]
    return f"root in the box has {len(named)} capabilities, {len(more)} more than by default: {', '.join(more[:4])} ..."


def _seccomp(pair: ProcessPair) -> str:
    return f"/proc/PID/status has Seccomp: {_status(pair.child)['Seccomp']}; 2 means a filter, 0 means no filter"


def _loopback(pair: ProcessPair) -> str:
    return f"lo is {snapshot.links(pair.child)['lo']}"


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
    """The effect of a missing init: the highest number of zombies among the children of PID 1 at one time."""

    def __init__(self) -> None:
        self.zombies, self.catches = 0, True

    def look(self, pid: int) -> None:
        """Count once the zombies among the children of process *pid*, and check whether *pid* handles SIGTERM."""
        with contextlib.suppress(OSError, KeyError):
            with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
                states = [_status(int(child)).get("State", "")[:1] for child in file.read().split()]
            self.zombies = max(self.zombies, states.count("Z"))
            self.catches = bool(int(_status(pid)["SigCgt"], 16) >> SIGTERM - 1 & 1)

    def __str__(self) -> str:
        caught = "has a handler for SIGTERM" if self.catches else "has no handler for SIGTERM and ignores it"
        return f"at most {self.zombies} zombies at once were children of PID 1, which {caught}"


def measured(name: str, pair: ProcessPair) -> str:
    """Return a sentence about what went wrong with *name* left out, or that the box could not be measured."""
    try:
        return MEASURES[name](pair) if name in MEASURES else ""
    except (OSError, KeyError):
        return "the box had ended before it could be measured"
    except TinyboxError as error:
        return f"the box could not be measured: {error}"


def escaped(found: str) -> str:
    """Return a sentence about the result of the climb out of chroot(2): the root that it *found*, or a refusal."""
    info = os.stat("/")
    if not found:
        return "the climb out of the new root was refused"
    where, _, entries = found.partition(" ")
    same = "the host's own" if where == f"{info.st_dev}:{info.st_ino}" else "not the host's"
    return f"a process of the box climbed out: it reached a / with {entries} entries, {same} (device:inode {where})"


def host_is_whole(before: dict[str, str], after: dict[str, str]) -> str:
    """Return a sentence that states whether the host's mounts, with its /proc, are the same as before."""
    if "/proc" in {mount.point for mount in _mounts("self")} and before == after:
        return f"the host: its {len(after)} mounts are the same as before, and /proc is one of them"
    return f"the host: {len(before)} mounts before, {len(after)} after"


def _mounts(pid: str) -> list[proc.Mount]:
    return proc.mountinfo(proc.text(f"/proc/{pid}/mountinfo"))


def _status(pid: int) -> dict[str, str]:
    return proc.status(proc.text(f"/proc/{pid}/status"))
