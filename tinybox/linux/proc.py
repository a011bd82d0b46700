"""Readers of /proc files: mountinfo, stat, status, cgroup and id maps, each from its text to named values; proc(5).

ps, mount and lsns print the content of these files in another form.
"""

from __future__ import annotations

from collections import namedtuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NamedTuple

    class Mount(NamedTuple):
        """One line of /proc/PID/mountinfo: a mount with its source, mount point and options; proc_pid_mountinfo(5)."""

        mount_id: int
        parent_id: int
        device: str
        root: str
        point: str
        options: list[str]
        fields: list[str]
        type: str
        source: str
        super_options: list[str]

    class Stat(NamedTuple):
        """The first fields of /proc/PID/stat and the start time in clock ticks after boot; see proc_pid_stat(5)."""

        pid: int
        comm: str
        state: str
        ppid: int
        pgrp: int
        session: int
        tty: int
        starttime: int
        arg_start: int
        arg_end: int
        env_end: int
else:
    Mount = namedtuple("Mount", "mount_id parent_id device root point options fields type source super_options")
    Stat = namedtuple("Stat", "pid comm state ppid pgrp session tty starttime arg_start arg_end env_end")


def unescape(field: str) -> str:
    r"""Return *field* of mountinfo with escapes such as ``\\040`` decoded; see proc_pid_mountinfo(5)."""
    if "\\" not in field:
        return field
    head, *rest = field.split("\\")
    return head + "".join(chr(int(part[:3], 8)) + part[3:] for part in rest)


def mountinfo(text: str) -> list[Mount]:
    """Parse /proc/PID/mountinfo, in the order in which the kernel lists the mounts; see proc_pid_mountinfo(5)."""
    mounts = []
    for line in text.splitlines():
        left, _, right = line.partition(" - ")
        mount_id, parent_id, device, root, point, options, *fields = left.split(" ")
        fstype, source, super_options = [*right.split(" ", 2), ""][:3]
        mounts.append(
            Mount(
                int(mount_id),
                int(parent_id),
                device,
                unescape(root),
                unescape(point),
                options.split(","),
                fields,
                fstype,
                unescape(source),
                super_options.split(","),
            )
        )
    return mounts


def stat(text: str) -> Stat:
    """Parse /proc/PID/stat; see proc_pid_stat(5).

    The name of the program may contain spaces and brackets: only the last bracket of the line ends it.
    """
    pid, _, rest = text.partition(" (")
    comm, _, rest = rest.rpartition(") ")
    fields = rest.split()
    state, numbers = fields[0], [int(field) for field in fields[1:]]
    ppid, pgrp, session, tty = numbers[:4]
    return Stat(int(pid), comm, state, ppid, pgrp, session, tty, numbers[18], numbers[44], numbers[45], numbers[47])


def stat_of(pid: int) -> Stat | None:
    """Return the fields of /proc/PID/stat of process *pid*; None if it has ended; see proc_pid_stat(5)."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="surrogateescape") as file:
            return stat(file.read())
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None


def is_alive(pid: int, ticks: int) -> bool:
    """Return whether the process that began at *ticks* still runs as *pid*; a zombie does not. See proc_pid_stat(5)."""
    found = stat_of(pid)
    return found is not None and found.starttime == ticks and found.state not in "ZX"


def status(text: str) -> dict[str, str]:
    """Parse /proc/PID/status into a dict from name to value, one entry for each line; see proc_pid_status(5)."""
    return {name: value.strip() for name, _, value in (line.partition(":") for line in text.splitlines())}


def unified_cgroup(text: str) -> str:
    """Return the path of the cgroup v2 from /proc/PID/cgroup; ``""`` if the process is in none; see cgroups(7)."""
    return next((line[3:] for line in text.splitlines() if line.startswith("0::")), "")


def id_map(text: str) -> list[tuple[int, int, int]]:
    """Parse /proc/PID/uid_map or gid_map into ``(inside, outside, length)``; see user_namespaces(7)."""
    rows = (line.split() for line in text.splitlines())
    return [(int(inside), int(outside), int(length)) for inside, outside, length in rows]
