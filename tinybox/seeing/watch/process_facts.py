"""Facts about the processes of a box: the tree with both numbers, namespaces, mounts and open files, from /proc.

Reading /proc changes nothing: no process is traced or stopped, and no program runs in the box.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from tinybox.container.views import namespaces, processes
from tinybox.isolation.merged import opened
from tinybox.linux import proc
from tinybox.seeing.watch.rows import Panel, Row, limited

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Self

    from tinybox.container.views.listing import Listed
    from tinybox.container.views.processes import Process
    from tinybox.linux.proc import Mount

_MOST_PROCESSES, _MOST_FILES = 16, 64  # whose open files are shown, and how many of each


def tree(found: Sequence[Process]) -> Panel:
    """Return the processes: pid, user and state on the host, and the tree with the box's numbers; NSpid in proc(5).

    The first row is the process that waits for the end of the box.
    """
    rows = [*_owner(found[0].ppid)] if found else []
    rows += [
        Row(
            str(process.pid),
            f"{process.pid:>7} uid {process.uid:<6} {process.state}",
            f"{branches}{process.box_pid} {process.command}",
        )
        for branches, process in processes.forest(found)
    ]
    return Panel(
        "processes", "pid, user and state on the host", "pid and command in the box", limited(rows, "processes")
    )


def _owner(pid: int) -> Iterator[Row]:
    owner = proc.stat_of(pid)
    if owner:
        yield Row("owner", f"{pid:>7} {owner.comm}", "not in the box: waits for its end")


def walls(listed: Listed) -> Panel:
    """Return the namespaces of host and box by their inode numbers; see namespaces(7)."""
    rows = [
        Row(pair.kind, f"{pair.kind:<7}{pair.host or '-'}", f"{pair.box or '-'}{'' if pair.differs else '  the same'}")
        for pair in namespaces.pairs(listed)
    ]
    return Panel("namespaces", "inode of the host's namespace", "of the box's", rows)


def mounts(found: Sequence[Mount], bundle: str) -> Panel:
    """Return the mounts of the box, and what of the host each one shows; see proc_pid_mountinfo(5)."""
    rows = []
    for mount in found:
        mode = ", read-only" if "ro" in mount.options else ""
        rows.append(Row(str(mount.mount_id), _origin(mount, bundle), f"{mount.point}  {mount.type}{mode}"))
    return Panel("mounts", "what the host has there", "mount point in the box", limited(rows, "mounts"))


def mounts_of(pid: int) -> list[Mount]:
    """Return the mounts that the process *pid* sees; see proc_pid_mountinfo(5)."""
    return proc.mountinfo(proc.text(f"/proc/{pid}/mountinfo"))


def upper_of(found: Sequence[Mount]) -> str:
    """Return the path of the upper directory of the box's overlay at /, or "" if / is none; a mount option shows it."""
    for mount in found:
        if mount.point == "/" and mount.type == "overlay":
            paths = [word[9:] for word in mount.super_options if word.startswith("upperdir=")]
            return paths[0] if paths else ""
    return ""


def _origin(mount: Mount, bundle: str) -> str:
    if mount.type == "overlay":
        layers = next((word for word in mount.super_options if word.startswith("lowerdir")), "").count(":") + 1
        return f"upper directory on {layers} layer{'s' if layers > 1 else ''}"
    if mount.root == "/":
        return f"a new {mount.type}, device {mount.device}"
    container = os.path.basename(bundle)
    return f"{mount.root.replace(bundle, 'BUNDLE').replace(container, container[:12])}, device {mount.device}"


def open_files(found: Sequence[Process], upper: str) -> Panel:
    """Return the open files of the box's first processes, with the other holders of a pipe; proc_pid_fd(5)."""
    shown = found[:_MOST_PROCESSES]
    owner = dict(_links(shown[0].ppid)) if shown else {}
    ends = {target: f"tinybox, pid {shown[0].ppid}, fd {fd}" for fd, target in owner.items() if ":" in target}
    rows = []
    with UpperDirectory(upper) as directory:
        for process, fd, target in ((each, *link) for each in shown for link in _links(each.pid)):
            known = ends.get(target) or (f"upper{target}" if directory.has(target) else _kind(target))
            rows.append(Row(f"{process.pid} {fd}", f"{process.pid:>7} {known}", f"{process.box_pid}: {fd} -> {target}"))
    if len(found) > len(shown):
        rows.append(Row("...", f"and the files of {len(found) - len(shown)} more processes", ""))
    return Panel("files", "pid on the host, and what is behind", "pid in the box: fd -> file", limited(rows, "files"))


class UpperDirectory:
    """A context manager that tells whether the upper directory *path* has a file; "" is none, and has no files.

    A link is not followed: a program in the box chooses where it leads.
    """

    def __init__(self, path: str) -> None:
        self._path, self._fd = path, -1

    def __enter__(self) -> Self:
        if self._path:
            with contextlib.suppress(OSError):
                self._fd = os.open(self._path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        return self

    def __exit__(self, *_: object) -> None:
        if self._fd >= 0:
            os.close(self._fd)

    def has(self, target: str) -> bool:
        """Return whether the file that the box calls *target* is in the directory."""
        if self._fd < 0 or not target.startswith("/"):
            return False
        try:
            found = opened(self._fd, os.fsencode(target.lstrip("/")))
        except OSError:
            return False
        if found is not None:
            os.close(found)
        return found is not None


def _kind(target: str) -> str:
    if target.startswith(("pipe:", "socket:")):
        return target.partition(":")[0]
    return "device" if target.startswith("/dev/") else "file" if target.startswith("/") else "of the kernel"


def _links(pid: int) -> Iterator[tuple[int, str]]:
    """Yield the first descriptors of a process with the kernel's names of their files; none without permission."""
    try:
        numbers = sorted(map(int, os.listdir(f"/proc/{pid}/fd")))
    except OSError:
        return
    for fd in numbers[:_MOST_FILES]:
        try:
            yield fd, os.readlink(f"/proc/{pid}/fd/{fd}")
        except OSError:
            continue
