"""What a running container has from outside, and criu must not dump: mounts, files and pipes of the host, its network.

criu dumps all that the container's processes share among themselves. Where something leads out, tinybox tells it so
(``--external`` in criu(8)), and gives the processes the same thing again when they are restored:

    bind mounts, control groups   made again from config.json, as for a start
    the network namespace         a new one, with links as for a start
    stdin, stdout and stderr      the streams of the command or the monitor that restores, in place of pipes
    files of the host             opened again by their path: the program of tinybox's own PID 1, which is the host's
                                  Python, and files to which the streams of the container were redirected
"""

from __future__ import annotations

import os
import stat
from collections import namedtuple

from tinybox.container.records import spec
from tinybox.errors import StateError, UsageError
from tinybox.isolation import namespaces
from tinybox.linux import proc

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import NamedTuple

    from tinybox.container.records.spec_types import Mount, Spec
    from tinybox.linux.proc import Mount as LivingMount

    class File(NamedTuple):
        """A file of the host: how it is opened again, and what has to be the same then, its size and time of change."""

        path: str
        size: int
        changed: int
        mode: int
else:
    File = namedtuple("File", "path size changed mode")

_MADE_AGAIN = ("bind", "cgroup")  # kinds of mounts that tinybox makes again; criu makes all others
_FULL = ("user", "pid", "mount", "ipc", "uts")  # criu makes these new; one that is shared with others would be lost


def check(config: Spec) -> None:
    """Raise UsageError for a container whose namespaces cannot be made again: it shares them with other processes."""
    listed = {entry["type"]: entry.get("path", "") for entry in config.get("linux", {}).get("namespaces", [])}
    if "user" in listed:
        raise UsageError("checkpoint", "containers with a user namespace are not supported", "run it without --userns")
    rights = config["process"].get("capabilities", {}).get("bounding", [])
    if "CAP_SYS_PTRACE" in rights and config.get("annotations", {}).get(spec.INIT) in ("forward", "reap"):
        cause = "PID 1 of a container with CAP_SYS_PTRACE runs from a memory file, which criu does not restore"
        raise UsageError("checkpoint", cause, "run it with --init=none")
    for kind in _FULL:
        if listed.get(kind):
            raise UsageError("checkpoint", f"the container shares the {kind} namespace of another process")
    for kind in ("pid", "mount"):
        if kind not in listed:
            raise UsageError("checkpoint", f"the container shares the {kind} namespace of the host")


def same_namespace(pid: int, kind: str) -> bool:
    """Return whether process *pid* is in this process's namespace of OCI *kind*."""
    return inode(namespaces.path(pid, kind)) == inode(f"/proc/self/ns/{namespaces.KINDS[kind][1]}")


def inode(path: str) -> int:
    """Return the inode number of the file *path*."""
    return proc.of_living(os.stat, path).st_ino


def mounts(pid: int) -> list[LivingMount]:
    """Return the mounts of process *pid*; see proc_pid_mountinfo(5)."""
    return proc.mountinfo(proc.text(f"/proc/{pid}/mountinfo"))


def external_mounts(config: Spec, living: list[LivingMount]) -> list[str]:
    """Return the mount points that tinybox makes again from *config*; criu makes the others.

    A bind mount may have further mounts below it, which came with it.
    """
    entries = config.get("mounts", [])
    return [each.point for each in living if each.point != "/" and is_made_again(entry_of(entries, each.point))]


def entry_of(entries: list[Mount], point: str) -> Mount | None:
    """Return the mount of config.json with which the mount at *point* came; None if it came with none of them."""
    found, longest = None, -1
    for entry in entries:
        where = destination(entry)
        if (point == where or point.startswith(f"{where}/")) and len(where) >= longest:
            found, longest = entry, len(where)
    return found


def destination(entry: Mount) -> str:
    """Return where a mount of config.json is, as an absolute path without dots."""
    return os.path.normpath("/" + entry["destination"].lstrip("/"))


def is_made_again(entry: Mount | None) -> bool:
    """Return whether tinybox makes this mount again when it restores the container."""
    if entry is None:
        return False
    options = entry.get("options", [])
    return entry.get("type") in _MADE_AGAIN or "bind" in options or "rbind" in options


def external_files(pids: list[int], living: list[LivingMount]) -> dict[str, File]:
    """Return by key the regular files that the processes have open or mapped, or run, and that are on no such mount."""
    inside, found = {each.mount_id for each in living}, dict[str, File]()
    for pid in pids:
        for key, mount, file in _files(pid):
            if mount not in inside:
                mode = file.mode if key not in found or found[key].mode == os.O_RDONLY else found[key].mode
                found[key] = file._replace(mode=mode)
    return found


def _files(pid: int) -> Iterator[tuple[str, int, File]]:
    """Yield the key, the mount and the description of each regular file that *pid* has open or mapped, or runs.

    PID 1 runs a file that it has not mapped any more; see native_init.stay().
    Files without a name are left out: criu dumps shared memory itself, which the kernel shows as deleted files on a
    mount of its own, such as "/dev/zero (deleted)"; see MAP_SHARED and MAP_ANONYMOUS in mmap(2), and memfd_create(2).
    """
    listed = [
        (folder, f"{folder}/{name}") for folder in ("map_files", "fd") for name in _names(f"/proc/{pid}/{folder}")
    ]
    for folder, name in [("", "exe"), *listed]:
        path = f"/proc/{pid}/{name}"
        try:
            fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:  # closed since
            continue
        try:
            info = os.fstat(fd)
            if stat.S_ISREG(info.st_mode) and info.st_nlink:
                mount, mode = int(_fdinfo("self", str(fd))["mnt_id"]), os.O_RDONLY
                if folder == "fd":
                    mode = int(_fdinfo(str(pid), name.removeprefix("fd/"))["flags"], 8) & os.O_ACCMODE
                key = f"file[{mount:x}:{info.st_ino:x}]"
                yield key, mount, File(os.readlink(path), info.st_size, info.st_mtime_ns, mode)
        finally:
            os.close(fd)


def _names(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:  # the process has ended
        return []


def _fdinfo(pid: str, fd: str) -> dict[str, str]:
    """Return what the kernel says of an open file; see proc_pid_fdinfo(5)."""
    with open(f"/proc/{pid}/fdinfo/{fd}", encoding="utf-8", errors="replace") as file:
        return proc.status(file.read())


def streams(pid: int) -> list[str]:
    """Return the keys by which criu knows the pipes and sockets that are the first process's stdin, stdout and stderr.

    "" stands for another stream: a file of the host is opened again, and criu makes what is the container's own.
    """
    keys = []
    for number in range(3):
        path = f"/proc/{pid}/fd/{number}"
        try:
            mode = os.stat(path).st_mode
            keys.append(os.readlink(path) if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) else "")
        except OSError:  # closed
            keys.append("")
    return keys


def strangers(first: int, pids: list[int]) -> list[int]:
    """Return those of *pids* that do not descend from the process *first*: programs of `exec`, which criu cannot see.

    Their parent is a process outside of the container.
    """
    parents = {pid: found.ppid for pid in pids if (found := proc.stat_of(pid)) is not None and found.state not in "ZX"}
    return [pid for pid in parents if pid != first and not _descends(pid, first, parents)]


def _descends(pid: int, first: int, parents: dict[int, int]) -> bool:
    while pid in parents and pid != first:
        pid = parents[pid]
    return pid == first


def reopened(key: str, file: File) -> int:
    """Open a *file* of the host again, as it was open; StateError: it is gone, or one that was read has changed."""
    try:
        fd = os.open(file.path, file.mode | os.O_CLOEXEC)
    except OSError as error:
        cause = f"cannot be opened: {error.strerror}"
        raise StateError(f"file {file.path}", cause, "the checkpoint's processes have it open") from error
    info = os.fstat(fd)
    if file.mode != os.O_RDONLY or (info.st_size, info.st_mtime_ns) == (file.size, file.changed):
        return fd
    os.close(fd)
    cause = f"has changed since the checkpoint was made, whose processes use it ({key})"
    raise StateError(f"file {file.path}", cause)
