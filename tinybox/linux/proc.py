"""Readers of /proc files: mountinfo, stat, status, cgroup and id maps, each from its text to named values; proc(5).

ps, mount and lsns print the content of these files in another form.
"""

from __future__ import annotations

import errno
import os

from tinybox.linux.filesystem import own_files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    T = TypeVar("T")

# The errors for a file of a process that has ended, or that this user may not read.
GONE = (FileNotFoundError, ProcessLookupError, PermissionError)

_open = os.open  # --explain replaces os.open later, and shall not report these opens


class Mount:
    """One line of /proc/PID/mountinfo: a mount with its source, mount point and options; proc_pid_mountinfo(5)."""

    def __init__(self, line: str) -> None:
        left, _, right = line.partition(" - ")
        mount_id, parent_id, self.device, root, point, options, *self.fields = left.split(" ")
        self.type, source, super_options = [*right.split(" ", 2), ""][:3]
        self.mount_id, self.parent_id = int(mount_id), int(parent_id)
        self.root, self.point, self.source = unescape(root), unescape(point), unescape(source)
        self.options, self.super_options = options.split(","), super_options.split(",")


class Stat:
    """The first fields of /proc/PID/stat, and some later ones by name; see proc_pid_stat(5).

    *starttime* is in clock ticks after boot; *threads* are those that live, and the first one in any case. The name of
    the program, *comm*, may contain spaces and brackets: only the last bracket of the line ends it.
    """

    def __init__(self, text: str) -> None:
        pid, _, rest = text.partition(" (")
        self.comm, _, rest = rest.rpartition(") ")
        self.state, *fields = rest.split()
        numbers = [int(field) for field in fields]
        self.pid = int(pid)
        self.ppid, self.pgrp, self.session, self.tty = numbers[:4]
        self.threads = numbers[16]
        self.starttime, self.arg_start, self.arg_end, self.env_end = numbers[18], numbers[44], numbers[45], numbers[47]


def text(path: str) -> str:
    """Return the text of the file *path*; a byte that is not UTF-8 becomes a surrogate. See proc(5).

    ProcessLookupError or FileNotFoundError: the process has ended. A zombie has no namespaces any more, so the kernel
    refuses its mountinfo with EINVAL, which is a ProcessLookupError here: see mounts_open_common() in the kernel's
    fs/proc_namespace.c.
    """
    try:
        return own_files.content(_open(path, os.O_RDONLY | os.O_CLOEXEC)).decode("utf-8", "surrogateescape")
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ESRCH):
            raise
        raise ProcessLookupError(errno.ESRCH, "the process has ended", path) from error


def link(path: str) -> str:
    """Return the target of a link such as /proc/PID/exe or /proc/PID/ns/pid; errors as for `of_living`; proc(5)."""
    return of_living(os.readlink, path)


def of_living(call: Callable[[str], T], path: str) -> T:
    """Return ``call(path)`` for the link *path* of /proc/PID, which *call* reads or follows; see proc(5).

    ProcessLookupError or FileNotFoundError: the process has ended. PermissionError: this user may not do it. For a
    process that ends during the call the kernel reports EACCES, too, so a refusal counts only if a second call gets it:
    see proc_ns_get_link() in the kernel's fs/proc/namespaces.c.
    """
    try:
        return call(path)
    except PermissionError:
        return call(path)


def unescape(field: str) -> str:
    r"""Return *field* of mountinfo with escapes such as ``\\040`` decoded; see proc_pid_mountinfo(5)."""
    if "\\" not in field:
        return field
    head, *rest = field.split("\\")
    return head + "".join(chr(int(part[:3], 8)) + part[3:] for part in rest)


def mountinfo(text: str) -> list[Mount]:
    """Parse /proc/PID/mountinfo, in the order in which the kernel lists the mounts; see proc_pid_mountinfo(5)."""
    return [Mount(line) for line in text.splitlines()]


def stat(text: str) -> Stat:
    """Parse /proc/PID/stat; see proc_pid_stat(5)."""
    return Stat(text)


def stat_of(pid: int) -> Stat | None:
    """Return the fields of /proc/PID/stat of process *pid*; None if it has ended; see proc_pid_stat(5)."""
    try:
        return stat(text(f"/proc/{pid}/stat"))
    except GONE:
        return None


def is_alive(pid: int, ticks: int) -> bool:
    """Return whether the process that began at *ticks* still runs as *pid*; a zombie does not. See proc_pid_stat(5).

    A process whose first thread alone has ended (pthread_exit(3)) is shown as a zombie, too, but its other threads run.
    """
    found = stat_of(pid)
    return found is not None and found.starttime == ticks and (found.state not in "ZX" or found.threads > 1)


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
