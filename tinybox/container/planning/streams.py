"""The steps for stdin, stdout and stderr: tinybox's own streams, pipes in place of a terminal, or a new pty (-t).

A program may open its streams by name, as ``echo x > /dev/stdout`` does, and the kernel then checks the rights of its
user on the pipe or file. So the program gets pipes that its user owns, as from runc and docker.
"""

from __future__ import annotations

import os
import stat

from tinybox.container.process.plan import Step
from tinybox.errors import TinyboxError, UsageError
from tinybox.isolation import null_device

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinybox.container.planning.task import Task
    from tinybox.container.process.handles import Handles
    from tinybox.container.records.spec_types import Process


_GIVEN = (stat.S_IFIFO, stat.S_IFREG, stat.S_IFSOCK)  # a device keeps its owner


def pipes(task: Task) -> list[Step]:
    """Plan pipes in place of tinybox's terminal: the program must not get a file descriptor of that.

    Also in place of a pipe or file (``tinybox run -u 1000 ... > file``) that the program's user may not open. To change
    its owner instead would take it away from the user of the host, and from another box that has the same pipe.
    """
    handles = task.handles
    if task.process.get("terminal"):
        return []
    if handles.watched and not _opens_everything(task):
        handles.relayed = [n for n in range(3) if n in handles.relayed or _is_closed(task, n, handles.streams[n])]
    if not handles.relayed:
        return []
    from tinybox.container.process import relay

    says = "Make pipes for the streams that the program must not get: a terminal, or another user's file"
    return [Step("pipes", says, "pipe(2)", relay.make_pipes, handles)]


def _opens_everything(task: Task) -> bool:
    """Return whether the program is root with the right to open every file of the host; see capabilities(7)."""
    rights = task.process.get("capabilities", {}).get("effective", [])
    user = task.process.get("user", {}).get("uid", 0)
    return not task.userns and not task.host.rootless and user == 0 and "CAP_DAC_OVERRIDE" in rights


def _is_closed(task: Task, number: int, fd: int) -> bool:
    """Return whether stream *number* is a pipe or file that the program's user may not open by name; see inode(7)."""
    info = os.fstat(fd)
    if not stat.S_ISREG(info.st_mode) and not stat.S_ISFIFO(info.st_mode):
        return False
    owns = not task.userns and info.st_uid == task.process.get("user", {}).get("uid", 0)
    needed = stat.S_IROTH if number == 0 else stat.S_IWOTH
    return not info.st_mode >> (6 if owns else 0) & needed


def give(task: Task) -> list[Step]:
    """Plan to give the program's pipes to its user; not needed if it is root of the host, as the pipes are."""
    uid, handles = task.process.get("user", {}).get("uid", 0), task.handles
    if task.process.get("terminal") or not (uid or task.userns or any(map(_is_another_s, handles.streams))):
        return []
    says = f"Make user {uid} the owner of the pipes that are stdin, stdout and stderr"
    return [Step("stream-owner", says, "fchown(2)", give_streams, handles, uid, task.userns)]


def _is_another_s(fd: int) -> bool:
    """Return whether *fd* is a pipe, a file or a socket that does not belong to root."""
    info = os.fstat(fd)
    return bool(info.st_uid) and stat.S_IFMT(info.st_mode) in _GIVEN


def give_streams(handles: Handles, uid: int, userns: bool) -> None:
    """Make the program's user the owner of tinybox's pipes for it; see fchown(2).

    The parent does it, because root of a new user namespace has no rights over a pipe of the host. If tinybox does not
    stay to relay bytes (OCI's create), the streams are the engine's, and the user gets them, files as well: runc and
    crun do the same. A device keeps its owner; /dev/null is the box's own, and other devices are the host's.
    """
    owner = uid
    if userns:
        from tinybox.isolation import idmap

        owner = idmap.outside(handles.pid, uid)
    numbers = handles.relayed if handles.watched else range(3)
    for fd in {handles.streams[number] for number in numbers}:
        info = os.fstat(fd)
        if info.st_uid == owner or stat.S_IFMT(info.st_mode) not in _GIVEN:
            continue
        try:
            os.fchown(fd, owner, -1)
        except OSError:  # a read-only file system, or an owner without an id here: the program can still use its fd
            continue


def steps(process: Process, handles: Handles, root: bytes, *, console: bool) -> list[Step]:
    """Return the steps that give *process* its streams; with *console*, a terminal is /dev/console as well.

    *root* is the path of the box's root in the child at that time. The module that opens a terminal is imported only if
    the process has one.
    """
    says = "Begin a new session, without tinybox's terminal"
    session = Step("session", says, "setsid(2)", begin_session)
    if not process.get("terminal"):
        return [
            session,
            Step("streams", "Connect stdin, stdout and stderr", "dup2(2)", connect_streams, handles, root),
        ]
    from tinybox.container.planning import terminal

    says = "Open a new terminal in the box's own devpts for stdin, stdout and stderr"
    owner, act = process.get("user", {}).get("uid", 0), terminal.open_console if console else terminal.open_terminal
    return [session, Step("terminal", says, "pts(4)", act, handles, root, owner, terminal.first_size(process, handles))]


def begin_session() -> None:
    """Make this process the leader of a new session, which has no controlling terminal; see setsid(2).

    Otherwise PID 1 would stay in tinybox's session: it could open tinybox's terminal as /dev/tty, and would get the
    signal of Ctrl-C twice, from the terminal and from tinybox, which forwards it.
    """
    os.setsid()


def connect_streams(handles: Handles, root: bytes) -> None:
    """Make tinybox's streams this process's file descriptors 0, 1 and 2; see dup2(2).

    A directory is refused: the program could leave the box from it by ``..`` (CVE-2024-21626). The host's /dev/null is
    replaced by the box's, below *root*, because root of a box may change the owner and mode of every open file.
    """
    copies = [os.dup(fd) for fd in handles.streams]
    for number, fd in enumerate(copies):
        info = os.fstat(fd)
        if stat.S_ISDIR(info.st_mode):
            raise UsageError(f"file descriptor {number}", "is a directory", "redirect it from a file or a pipe")
        source = _null(root, number) if null_device.is_null(info) else fd
        os.dup2(source, number)
        for each in {source, fd}:
            os.close(each)


def _null(root: bytes, number: int) -> int:
    """Return an fd of the box's null device; if it has none, use a pipe without a writer as an empty stdin."""
    try:
        return null_device.open_below(root)
    except TinyboxError:
        if number != 0:
            raise
    reading, writing = os.pipe()
    os.close(writing)
    return reading
