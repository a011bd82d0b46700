"""The control group that a user without root was given: where it is found, and how tinybox makes groups in it.

A directory of cgroup v2 is given to a user by chown(2) of the directory, of its cgroup.procs and of its
cgroup.subtree_control: see "Delegation" in cgroups(7). `systemd-run --user --scope -p Delegate=yes COMMAND` does so
for COMMAND. The directory is a fact of the home: it is chosen when the home is made, written to RUN/.cgroup, and all
boxes of the home have their groups in it.

In version 2 a group with controllers for the groups below it may hold no process. So the processes that are in the
directory itself are moved one level down, into COMMANDS. clone3(2) and exec need the right to write cgroup.procs of the
directory above both groups: so a command must be in the directory, too.
"""

from __future__ import annotations

import os

from tinybox.errors import HostError
from tinybox.isolation.cgroups import files
from tinybox.isolation.cgroups.hierarchies import hierarchies
from tinybox.linux import proc, user_namespaces

FILE = ".cgroup"  # in the run directory; the path of the directory, or nothing
HANDED = "TINYBOX_CGROUP"  # the environment variable that names the directory
COMMANDS = "tinybox-commands"  # the group of the processes that were in the directory itself
_CONTROL = ("cgroup.procs", "cgroup.subtree_control")


def settle(folder: str, *, new: bool) -> None:
    """Choose the directory of a *new* home, or take that of the home; *folder* is the run directory.

    The caller holds the lock on RUN/.home.lock. HostError: the directory that HANDED names is not this user's.
    """
    former = recorded(folder)
    if new:
        found = choose(own(), os.environ.get(HANDED, ""), former)
        if found != former:
            _record(folder, found)
    else:
        found = former
    if found:
        _enter(found, is_handed=bool(os.environ.get(HANDED)) and new)


def recorded(folder: str) -> str:
    """Return the directory in *folder*/.cgroup, which is "" if this home has none, or it was removed."""
    path = (files.read(f"{folder}/{FILE}") or "").strip()
    return path if path.startswith("/") and os.path.isdir(path) else ""


def choose(inside: str, handed: str = "", former: str = "") -> str:
    """Return the directory for a new home: *handed*, or that of the *former* home, or the one this process is *inside*.

    It is "" if none of them is this user's. HostError: *handed* is not; see "Delegation" in cgroups(7).
    """
    if handed:
        path = os.path.normpath(handed)
        if not path.startswith("/") or not is_delegated(path):
            cause = "is no control group of version 2 that this user may change"
            cure = f"as root: chown USER it and, in it, {' and '.join(_CONTROL)}; see cgroups(7)"
            raise HostError(f"{HANDED}={handed}", cause, cure)
        return path
    if os.path.basename(inside) == COMMANDS:
        inside = os.path.dirname(inside)
    # A command that is not in the former directory could start no process in there.
    if former and (inside == former or inside.startswith(f"{former}/")) and is_delegated(former):
        return former
    return inside if inside and is_delegated(inside) else ""


def is_delegated(path: str) -> bool:
    """Return whether this user may make groups below *path*, enable controllers there, and move processes in."""
    return all(os.access(name, os.W_OK) for name in (path, *(f"{path}/{name}" for name in _CONTROL)))


def own() -> str:
    """Return the directory of this process in cgroup v2, or "" if there is none to be seen; see proc_pid_cgroup(5)."""
    mountinfo = files.read("/proc/self/mountinfo") or ""
    unified = hierarchies(mountinfo).unified
    place = proc.unified_cgroup(files.read("/proc/self/cgroup") or "")
    root = next((mount.root for mount in proc.mountinfo(mountinfo) if mount.point == unified), "/")
    if unified is None or not f"{place}/".startswith(f"{root.rstrip('/')}/"):
        return ""
    return (unified + place.removeprefix(root.rstrip("/"))).rstrip("/")


def _record(folder: str, path: str) -> None:
    """Write RUN/.cgroup in one piece, as the next command may read it when this one was killed; see rename(2)."""
    with open(f"{folder}/{FILE}.new", "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(f"{path}\n")
    os.rename(f"{folder}/{FILE}.new", f"{folder}/{FILE}")


def _enter(path: str, *, is_handed: bool) -> None:
    """Put this process, and all that are in *path* itself, one level down.

    A command from elsewhere that may not be moved can still show, pause and remove boxes. HostError: the directory is
    handed to this command, which is outside of it.
    """
    here = own()
    if here.startswith(f"{path}/"):
        return
    leaf = f"{path}/{COMMANDS}"
    try:
        files.mkdir(leaf)
        files.write(f"{leaf}/cgroup.procs", str(os.getpid()))
        while pids := [pid for pid in (files.read(f"{path}/cgroup.procs") or "").split() if pid != "0"]:
            for pid in pids:
                _move(pid, leaf)
    except OSError as error:
        if is_handed and here != path:
            cause = f"this command is in {here or 'no group'}, and may not be moved there: {error.strerror}"
            raise HostError(f"{HANDED}={path}", cause, "as root: write the shell's pid to its cgroup.procs") from error


def _move(pid: str, leaf: str) -> None:
    try:
        files.write(f"{leaf}/cgroup.procs", pid)
    except ProcessLookupError:  # it has just ended
        return


def take(folder: str, *, planned: bool = False) -> None:
    """Let this command use the directory of its home; one that is only *planned* uses what a new home would choose."""
    former = recorded(folder)
    user_namespaces.groups = choose(own(), os.environ.get(HANDED, ""), former) if planned else former
