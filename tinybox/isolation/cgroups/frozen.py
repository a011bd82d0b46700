"""Frozen control groups: whether one is frozen, in either version, and how to thaw it; see cgroups(7).

A process in a frozen group, or below one, does not run. In version 1 it does not even end at SIGKILL. A host with both
versions has two freezers: a process is in a group of each. tinybox freezes by version 2 if the host has it; an engine
may use the other one.
"""

from __future__ import annotations

import errno

from tinybox.errors import StateError
from tinybox.isolation.cgroups import files
from tinybox.linux import proc
from tinybox.linux.waiting import until

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from tinybox.isolation.cgroups.hierarchies import Hierarchies


def refuse(name: str, where: Hierarchies, roots: Iterable[str]) -> None:
    """Raise StateError if the group *name* is frozen, or will be, in one of the hierarchies at *roots*.

    A process in it would never do its first step, and the process that waits for it would wait for ever.
    """
    for root, file, frozen in _freezers(where):
        if root not in roots:
            continue
        parts = name.split("/") if name else []
        while parts:  # the group may not exist yet, and one above it may be frozen
            text = (files.read(f"{root}/{'/'.join(parts)}/{file}") or "").strip()
            if text in frozen:
                raise StateError(f"cgroup {'/'.join(parts)}", "it is frozen", "thaw it, or use another one")
            parts.pop()


def is_frozen(name: str, where: Hierarchies) -> bool:
    """Return whether all processes of the group *name* are stopped, by the freezer of either version."""
    if where.unified and "frozen 1" in (files.read(f"{where.unified}/{name}/cgroup.events") or ""):
        return True
    return "freezer" in where.v1 and files.read(f"{where.v1['freezer']}/{name}/freezer.state") == "FROZEN\n"


def freeze(home: str, where: Hierarchies, deadline: float) -> bool:
    """Stop all processes in the group of the directory *home*; return whether all have stopped before *deadline*."""
    if where.unified is not None:
        files.write(f"{home}/cgroup.freeze", "1")
        return files.wait_for_event(home, "frozen 1", deadline)
    return until(lambda: _stopped(home), deadline, files.PAUSE)  # version 1 reports no change


def _stopped(home: str) -> bool:
    files.write(f"{home}/freezer.state", "FROZEN")  # a group in state FREEZING may need another write
    return files.read(f"{home}/freezer.state") == "FROZEN\n"


def thaw(name: str, where: Hierarchies, deadline: float) -> None:
    """Let the processes of the group *name* continue; a removed group is no error."""
    for root, file, _ in _freezers(where):
        try:
            files.write(f"{root}/{name}/{file}", "0" if root == where.unified else "THAWED")
            if root == where.unified:
                files.wait_for_event(f"{root}/{name}", "frozen 0", deadline)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENODEV):
                raise


def take_out(pid: int, where: Hierarchies) -> None:
    """Move the process *pid* out of its group of version 1 if that is frozen, so that SIGKILL ends it.

    If it is the first process of a pid namespace, the others are moved, too: it ends after them, pid_namespaces(7).
    """
    if "freezer" not in where.v1:
        return
    from tinybox.isolation import pid_members  # late: nearly all processes end at once

    root = where.v1["freezer"]
    for number in {pid, *(pid_members.members(pid) if _is_first(pid) else ())}:
        if files.read(f"{root}{_place(number)}/freezer.state") not in ("FREEZING\n", "FROZEN\n"):
            continue
        try:
            files.write(f"{root}/cgroup.procs", str(number))
        except ProcessLookupError:  # it has just ended
            continue


def _place(pid: int) -> str:
    """Return the path of the group of version 1 in which *pid* may be frozen, as ``/a/b``; see cgroups(7).

    For a process that is ending the kernel shows the root group, ``/``, which cannot be frozen; "" if it has ended.
    """
    rows = [line.split(":", 2) for line in (files.read(f"/proc/{pid}/cgroup") or "").splitlines()]
    return next((path for _, controllers, path in rows if "freezer" in controllers.split(",")), "")


def _is_first(pid: int) -> bool:
    """Return whether *pid* is the first process of a pid namespace; see NSpid in proc_pid_status(5)."""
    return proc.status(files.read(f"/proc/{pid}/status") or "").get("NSpid", "").split()[-1:] == ["1"]


def _freezers(where: Hierarchies) -> list[tuple[str, str, tuple[str, ...]]]:
    """Return each freezer of the host: its root, the file of a group, and the texts there that mean that it freezes."""
    found: list[tuple[str, str, tuple[str, ...]]] = []
    if where.unified is not None:
        found.append((where.unified, "cgroup.freeze", ("1",)))
    if "freezer" in where.v1:
        found.append((where.v1["freezer"], "freezer.state", ("FREEZING", "FROZEN")))
    return found
