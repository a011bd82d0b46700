"""The files of a control group: short texts that the kernel writes while you read them, and obeys when you write them.

Version 2 also tells of changes: whoever polls ``cgroup.events`` for POLLPRI wakes when the last process has ended or
the last one has stopped. Version 1 tells no one, and has to be asked again.
"""

from __future__ import annotations

import errno
import os
import select
import time

from tinybox.errors import HostError
from tinybox.linux import files, proc
from tinybox.linux.waiting import until

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_GONE = (errno.ENOENT, errno.ENODEV, errno.ESTALE)  # what the kernel says of a group that has been removed meanwhile
PAUSE = 0.001  # seconds between two questions, where the kernel does not tell

# What errno(3) means in a cgroup file system, with a cure.
REFUSALS = {
    errno.EBUSY: (
        'a group above it holds processes itself, and in v2 only the leaves may (the rule of "no internal processes")',
        "move them to a group of their own, or start tinybox where the whole subtree is its own",
    ),
    errno.EACCES: ("the control groups belong to someone else", "run as root, or have the subtree delegated"),
    errno.EPERM: ("the kernel does not permit it", "run as root, outside of a restricted container"),
    errno.EROFS: ("the cgroup file system is mounted read-only", "run tinybox outside of a container"),
    errno.ENOENT: ("this kernel's controller has no such file, or the group is gone", "leave the limit out"),
    errno.EINVAL: ("the kernel refuses the value", "look at its range in cgroups(7)"),
    errno.ERANGE: ("the kernel refuses the value: it is out of range", "look at its range in cgroups(7)"),
    errno.ENODEV: ("there is no such device, or the group is gone", "look at the device numbers"),
}


def read(path: str) -> str | None:
    """Return the text of *path*, or None where there is no such file, or no longer such a group; see read(2)."""
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENODEV, errno.EOPNOTSUPP):
            return None
        raise


def write(path: str, text: str) -> None:
    """Write *text* in a single call, for the kernel takes each write(2) as one command."""
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)  # without O_CREAT: a missing file shall say ENOENT
    files.write_once(fd, text.encode())


def refusal(thing: str, error: OSError) -> HostError:
    """Put errno(3) into the words of control groups: which rule it was, and what would help."""
    cause, cure = REFUSALS.get(error.errno or 0, (error.strerror or str(error), ""))
    return HostError(thing, cause, cure)


def keyed(text: str | None) -> dict[str, int]:
    """Parse lines of ``name number``, as in cpu.stat and memory.events; see cgroups(7)."""
    rows = (line.split() for line in (text or "").splitlines())
    return {row[0]: int(row[1]) for row in rows if len(row) == 2 and row[1].isdigit()}


def groups_below(directory: str, *, leaves_first: bool = False) -> Iterator[tuple[int, list[str]]]:
    """Yield *directory* and the groups below it: its fd, and the names of the groups in it; nothing where it is gone.

    A box whose control groups are writable may nest them as deep as it likes.
    """
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
    """Return the pids in *directory* and in the groups below it; those of another pid namespace (0) are left out."""
    pids = []
    for fd, _ in groups_below(directory):
        pids += [int(pid) for pid in (read(f"/proc/self/fd/{fd}/cgroup.procs") or "").split() if pid != "0"]
    return pids


def home_of(pid: int, unified: str, group: str) -> str:
    """Return where a process can be born beside *pid* (0: none is known): in *group*, or else in the one *pid* is in.

    Who has made groups below his own and enabled controllers for them, as systemd does, may have processes only there.
    """
    directory = f"{unified}/{group}"
    if pid <= 0 or not (read(f"{directory}/cgroup.subtree_control") or "").strip():
        return directory
    found = unified + proc.unified_cgroup(read(f"/proc/{pid}/cgroup") or "")
    return found if found.startswith(f"{directory}/") else directory


def wait_for_event(directory: str, line: str, deadline: float) -> bool:
    """Wait until ``cgroup.events`` has the *line* (``populated 0``), at most until *deadline* on the monotonic clock.

    A group that is gone has no processes, so every wait for it is over. See poll(2) and cgroups(7).
    """
    try:
        fd = os.open(f"{directory}/cgroup.events", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    try:
        events = select.poll()
        events.register(fd, select.POLLPRI)
        while line not in os.pread(fd, 4096, 0).decode().splitlines():  # read first: poll(2) tells what came after
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
    """Remove *directory* and the groups below it, leaves first; False when processes stay until *deadline*; rmdir(2).

    EBUSY: there are groups below, which a container may have made, or processes that are ending just now.
    """
    return until(lambda: rmdir(directory) or _remove_leaves_first(directory), deadline, PAUSE)


def _remove_leaves_first(directory: str) -> bool:
    for fd, groups in groups_below(directory, leaves_first=True):
        for group in groups:
            rmdir(group, fd)
    return rmdir(directory)


def mkdir(directory: str) -> None:
    """Make a group that others may have made just before; see mkdir(2)."""
    try:
        os.mkdir(directory)
    except FileExistsError:
        return


def fill_cpuset(directory: str) -> None:
    """Give a new cpuset of version 1 what its parent has: it begins empty, and then no process may enter."""
    for name in ("cpuset.cpus", "cpuset.mems"):
        if not (read(f"{directory}/{name}") or "").strip():
            write(f"{directory}/{name}", read(f"{os.path.dirname(directory)}/{name}") or "")


def rmdir(directory: str, beside: int | None = None) -> bool:
    """Remove one group; False when it is in use, by processes or by groups below it (EBUSY); see rmdir(2).

    A path that is relative begins at the directory *beside*.
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
