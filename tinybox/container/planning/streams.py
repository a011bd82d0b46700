"""The steps for stdin, stdout and stderr: tinybox's own streams, pipes in place of a terminal, or a new pty (-t)."""

from __future__ import annotations

import os
import stat

from tinybox.container.process.plan import Step
from tinybox.errors import TinyboxError, UsageError
from tinybox.isolation import device_files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinybox.container.process.handles import Handles
    from tinybox.container.records.spec import Process


def pipes(process: Process, handles: Handles) -> list[Step]:
    """Plan pipes in place of tinybox's terminal: the program must not get a file descriptor of that."""
    if process.get("terminal") or not handles.terminals:
        return []
    from tinybox.container.process import relay

    says = "Make pipes for the streams that are tinybox's terminal"
    return [Step("pipes", says, "pipe(2)", relay.make_pipes, handles)]


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
    owner, size = process.get("user", {}).get("uid", 0), process.get("consoleSize", {})
    rows, columns = size.get("height", 0), size.get("width", 0)
    act = terminal.open_console if console else terminal.open_terminal
    return [session, Step("terminal", says, "pts(4)", act, handles, root, owner, (rows, columns))]


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
        source = _null(root, number) if device_files.is_null(info) else fd
        os.dup2(source, number)
        for each in {source, fd}:
            os.close(each)


def _null(root: bytes, number: int) -> int:
    """Return an fd of the box's null device; if it has none, use a pipe without a writer as an empty stdin."""
    try:
        return device_files.open_null_below(root)
    except TinyboxError:
        if number != 0:
            raise
    reading, writing = os.pipe()
    os.close(writing)
    return reading
