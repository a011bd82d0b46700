"""Files of a control group: read, write and parse them, list processes, wait for events, and remove groups.

The kernel makes the text of such a file when it is read, and acts when it is written. Version 2 also reports changes:
poll(2) of ``cgroup.events`` for POLLPRI wakes when the last process has ended or the last one is frozen. Version 1
reports nothing, so the file must be read again and again.
"""

from __future__ import annotations

import errno
import os
import select
import time

from tinybox.errors import HostError
from tinybox.linux import proc
from tinybox.linux.filesystem import own_files
from tinybox.linux.waiting import until

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tinybox.isolation.cgroups.hierarchies import Hierarchies

_GONE = (errno.ENOENT, errno.ENODEV, errno.ESTALE)  # the errors for a group that another process has just removed
PAUSE = 0.001  # seconds between two reads, where the kernel reports no changes

# The meaning of each errno(3) in a cgroup file system, with a cure.
REFUSALS = {
    errno.EBUSY: (
        'a group above it holds processes itself, and in v2 only the leaves may (the rule of "no internal processes")',
        "move them to a group of their own, or start tinybox in a subtree that only tinybox uses",
    ),
    errno.EACCES: ("the control groups belong to another user", "run as root, or have the subtree delegated"),
    errno.EPERM: ("the kernel does not permit it", "run as root, outside of a restricted container"),
    errno.EROFS: ("the cgroup file system is mounted read-only", "run tinybox outside of a container"),
    errno.ENOENT: ("this kernel's controller has no such file, or the group was removed", "leave the limit out"),
    errno.EINVAL: ("the kernel refuses the value", "see its range in cgroups(7)"),
    errno.ERANGE: ("the kernel refuses the value: it is out of range", "see its range in cgroups(7)"),
    errno.ENODEV: ("there is no such device, or the group was removed", "check the device numbers"),
}


class Setting:
    """One write: *value* into *file* of the group's directory in the hierarchy of *controller*."""

    __slots__ = ("controller", "file", "value")

    def __init__(self, controller: str, file: str, value: str) -> None:
        self.controller, self.file, self.value = controller, file, value

    def __repr__(self) -> str:
        return f"Setting(controller={self.controller!r}, file={self.file!r}, value={self.value!r})"


def of_every_group(hierarchies: Hierarchies) -> list[Setting]:
    """Return the writes for a group without limits: in version 2, a lack of memory kills all processes, not some."""
    return [Setting("memory", "memory.oom.group", "1")] if hierarchies.version("memory") == 2 else []


def read(path: str) -> str | None:
    """Return the text of *path*, or None if there is no such file, or its group or process has ended; see read(2)."""
    try:
        return proc.text(path)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ESRCH, errno.ENODEV, errno.EOPNOTSUPP):
            return None
        raise


def write(path: str, text: str) -> None:
    """Write *text* in a single call, because the kernel takes each write(2) as one command."""
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)  # without O_CREAT: the error for a missing file must be ENOENT
    own_files.write_once(fd, text.encode())


def open_tasks(directories: Iterable[str]) -> list[int]:
    """Return a close-on-exec fd of the file ``tasks`` of each group of version 1 that exists, for `enter`; cgroups(7).

    The kernel checks the rights of the process that opens the file, not of the one that writes to it (Linux 5.16).
    """
    opened: list[int] = []
    try:
        for directory in directories:
            try:
                opened.append(os.open(f"{directory}/tasks", os.O_WRONLY | os.O_CLOEXEC))
            except FileNotFoundError:
                continue  # the group was not made in this hierarchy
    except OSError:
        for fd in opened:
            os.close(fd)
        raise
    return opened


def enter(tasks: list[int]) -> None:
    """Move this process, which must have a single thread, into the groups with the open files *tasks*; close these.

    A "0" in ``tasks`` moves the thread that writes it; see cgroups(7). A write to ``cgroup.procs`` waits until no
    process of the host forks (cgroup_threadgroup_rwsem in the kernel), this one does not. pids.max refuses neither.
    """
    try:
        while tasks:
            own_files.write_once(tasks.pop(0), b"0")
    finally:
        while tasks:  # after an error
            os.close(tasks.pop())


def refusal(thing: str, error: OSError) -> HostError:
    """Return a HostError for *thing* that explains the errno(3) for control groups: the broken rule, and a cure."""
    cause, cure = REFUSALS.get(error.errno or 0, (error.strerror or str(error), ""))
    return HostError(thing, cause, cure)


def keyed(text: str | None) -> dict[str, int]:
    """Parse lines of ``name number``, as in cpu.stat and memory.events; see cgroups(7)."""
    rows = (line.split() for line in (text or "").splitlines())
    return {row[0]: int(row[1]) for row in rows if len(row) == 2 and row[1].isdigit()}


def groups_below(directory: str, *, leaves_first: bool = False) -> Iterator[tuple[int, list[str]]]:
    """Yield *directory* and the groups below it: its fd, and the names of the groups in it; nothing if it is removed.

    A container with writable control groups may nest them to any depth.
    """
    from tinybox.linux.filesystem import files  # late: `tinybox-oci kill` does without it

    try:
        top = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        for fd, groups, _ in files.walk(top, leaves_first=leaves_first):
            yield fd, groups
    except OSError as error:
        if error.errno not in _GONE:
            raise
    finally:
        os.close(top)


def processes(directory: str) -> list[int]:
    """Return the pids in *directory* and in the groups below it, without processes of other pid namespaces (pid 0)."""
    pids = []
    for fd, _ in groups_below(directory):
        pids += [int(pid) for pid in (read(f"/proc/self/fd/{fd}/cgroup.procs") or "").split() if pid != "0"]
    return pids


def home_of(pid: int, unified: str, group: str) -> str:
    """Return the directory in which a new process can start beside *pid* (0: none is known): *group*, or that of *pid*.

    A container may make groups below its own and enable controllers for them, as systemd does. Then the kernel allows
    processes only in the groups below.
    """
    directory = f"{unified}/{group}"
    if pid <= 0 or not (read(f"{directory}/cgroup.subtree_control") or "").strip():
        return directory
    place, above = proc.unified_cgroup(read(f"/proc/{pid}/cgroup") or ""), unified
    while above and not f"{above}{place}".startswith(f"{directory}/"):  # a delegated directory is below the mount point
        above = above.rpartition("/")[0]
    return f"{above}{place}" if above else directory


def wait_for_event(directory: str, line: str, deadline: float) -> bool:
    """Wait until ``cgroup.events`` has the *line* (``populated 0``), at most until *deadline* on the monotonic clock.

    Returns False if the deadline has passed. A removed group has no processes, so a wait for it ends at once. See
    poll(2) and cgroups(7).
    """
    try:
        fd = os.open(f"{directory}/cgroup.events", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    try:
        events = select.poll()
        events.register(fd, select.POLLPRI)
        while line not in os.pread(fd, 4096, 0).decode().splitlines():  # first read: poll(2) reports later changes
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                return False
            events.poll(remaining * 1000)
    except OSError as error:
        if error.errno != errno.ENODEV:
            raise
    finally:
        os.close(fd)
    return True


def remove_tree(directory: str, deadline: float) -> bool:
    """Remove *directory* and the groups below it, leaves first; False: it has processes at the *deadline*; rmdir(2).

    EBUSY is no error until then: there are groups below, which a container may have made, or processes are just ending.
    """
    return until(lambda: rmdir(directory) or _remove_leaves_first(directory), deadline, PAUSE)


def _remove_leaves_first(directory: str) -> bool:
    for fd, groups in groups_below(directory, leaves_first=True):
        for group in groups:
            rmdir(group, fd)
    return rmdir(directory)


def mkdir(directory: str) -> None:
    """Make a group; no error if it exists, because another process may have just made it; see mkdir(2)."""
    try:
        os.mkdir(directory)
    except FileExistsError:
        return


def fill_cpuset(directory: str) -> None:
    """Copy the CPUs and memory nodes of the parent to a new cpuset of version 1; see cpuset(7).

    A new cpuset is empty, and no process may enter an empty one.
    """
    for name in ("cpuset.cpus", "cpuset.mems"):
        if not (read(f"{directory}/{name}") or "").strip():
            write(f"{directory}/{name}", read(f"{os.path.dirname(directory)}/{name}") or "")


def rmdir(directory: str, beside: int | None = None) -> bool:
    """Remove one group; return False if it is in use, by processes or by groups below it (EBUSY); see rmdir(2).

    A removed group is no error. A relative path begins at the directory of the fd *beside*.
    """
    try:
        os.rmdir(directory, dir_fd=beside)
    except FileNotFoundError:
        return True
    except OSError as error:
        if error.errno in (errno.EBUSY, errno.ENOTEMPTY):
            return False
        raise
    return True


def remove_empty(directories: Iterable[str]) -> None:
    """Remove the groups *directories*, each of which is above the one before, up to the first that is in use."""
    for directory in directories:
        if not rmdir(directory):
            return
