"""The state of a process, read from /proc between two steps: namespaces, mounts, cgroups, rights, links, limits, files.

A snapshot maps section names to sections of plain text, so two snapshots can be compared without knowing their meaning.
"""

from __future__ import annotations

import contextlib
import os
import re

from tinybox.linux import proc, process
from tinybox.linux.sockets import rtnetlink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    Section: TypeAlias = dict[str, str]
    Snapshot: TypeAlias = dict[str, Section]
    Change: TypeAlias = dict[str, str | None]

NAMESPACES = ("cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts")
PF_EXITING = 0x4  # see include/linux/sched.h
STATUS = {  # a line of /proc/PID/status: the section and the name under which it is shown; see proc_pid_status(5)
    "Name": ("process", "name"),
    "NSpid": ("process", "pid"),
    "Uid": ("process", "uid"),
    "Gid": ("process", "gid"),
    "Groups": ("process", "groups"),
    "Umask": ("process", "umask"),
    "CapEff": ("rights", "effective"),
    "CapPrm": ("rights", "permitted"),
    "CapInh": ("rights", "inheritable"),
    "CapAmb": ("rights", "ambient"),
    "CapBnd": ("rights", "bounding"),
    "NoNewPrivs": ("rights", "no_new_privs"),
    "Seccomp": ("rights", "seccomp"),
}


def take(pid: int) -> Snapshot:
    """Return the state of a process from /proc/PID; if it has just ended, only the remaining parts. See proc(5)."""
    sections: Snapshot = {
        "namespaces": {},
        "mounts": mounts(pid),
        "cgroups": _cgroups(pid),
        "process": {},
        "rights": {},
        "links": links(pid),
        "limits": _limits(pid),
        "files": _links(f"/proc/{pid}/fd", str),
    }
    for line, value in proc.status(_read(pid, "status")).items():
        if line in STATUS:
            section, name = STATUS[line]
            sections[section][name] = " ".join(value.split())
    with contextlib.suppress(OSError):
        sections["process"]["directory"] = os.readlink(f"/proc/{pid}/cwd")
    if not is_ending(pid):  # last: all that was read before is of a living process
        sections["namespaces"] = _links(f"/proc/{pid}/ns", lambda name: name.partition("[")[2].rstrip("]"), NAMESPACES)
    return sections


def is_ending(pid: int) -> bool:
    """Return whether the kernel has begun to end the process: flags in proc_pid_stat(5), do_exit() in the kernel.

    From then on its control groups of version 1 are shown as "/"; it loses its namespaces a moment later.
    """
    fields = _read(pid, "stat").rpartition(") ")[2].split()
    return not fields or bool(int(fields[6]) & PF_EXITING)


def is_complete(taken: Snapshot) -> bool:
    """Return whether the process lived while the snapshot was taken."""
    return "mnt" in taken["namespaces"]


def changes(before: Snapshot, after: Snapshot) -> list[Change]:
    """Return the differences: section, key, and the text before and after, None if the key is missing there."""
    return [
        {"section": section, "key": key, "before": was.get(key), "after": now.get(key)}
        for section, was, now in ((name, before.get(name, {}), after.get(name, {})) for name in {**before, **after})
        for key in {**was, **now}
        if was.get(key) != now.get(key)
    ]


def changed(snapshot: Snapshot, differences: list[Change]) -> Snapshot:
    """Return *snapshot* with *differences* applied; a replay computes each state from the first one in this way."""
    result = {name: dict(section) for name, section in snapshot.items()}
    for change in differences:
        section = result.setdefault(str(change["section"]), {})
        if change["after"] is None:
            section.pop(str(change["key"]), None)
        else:
            section[str(change["key"])] = change["after"]
    return result


def _read(pid: int | str, name: str) -> str:
    try:
        with open(f"/proc/{pid}/{name}", encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def _links(folder: str, shown: object, names: tuple[str, ...] = ()) -> Section:
    found: Section = {}
    with contextlib.suppress(OSError):
        for name in names or sorted(os.listdir(folder), key=int):
            with contextlib.suppress(OSError):
                found[name] = shown(os.readlink(f"{folder}/{name}"))  # type: ignore[operator]
    return found


def mounts(pid: int | str) -> Section:
    """Return the lines of mountinfo by their mount id; see proc_pid_mountinfo(5)."""
    return dict(line.split(" ", 1) for line in _read(pid, "mountinfo").splitlines())


def _cgroups(pid: int) -> Section:
    """Return the control group in each hierarchy, by its controllers; version 2 has no list of them; see cgroups(7)."""
    rows = (line.split(":", 2) for line in _read(pid, "cgroup").splitlines())
    return {controllers or "v2": path for _, controllers, path in rows}


def links(pid: int) -> Section:
    """Return the links in a process's network namespace: index, up or down, addresses; see rtnetlink(7), setns(2)."""
    flags, found = os.O_RDONLY | os.O_CLOEXEC, list[rtnetlink.Link]()
    with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
        here = os.open("/proc/self/ns/net", flags)
        stack.callback(os.close, here)
        there = os.open(f"/proc/{pid}/ns/net", flags)
        stack.callback(os.close, there)
        if not os.path.sameopenfile(here, there):
            process.setns(there, process.CLONE_NEWNET)
            stack.callback(process.setns, here, process.CLONE_NEWNET)
        found = rtnetlink.links()
    return {
        link.name: ", ".join([f"index {link.index}", "up" if link.up else "down", *link.addresses]) for link in found
    }


def _limits(pid: int) -> Section:
    rows = (re.split(r"\s{2,}", line.strip()) for line in _read(pid, "limits").splitlines()[1:])
    return {row[0]: " ".join(row[1:3]) for row in rows if len(row) >= 3}
