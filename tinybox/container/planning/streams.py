"""The plan's chapter on stdin, stdout and stderr: those that tinybox was given, or a terminal of the box's own."""

from __future__ import annotations

import os
import stat

from tinybox.container.process.plan import Step
from tinybox.errors import TinyboxError, UsageError
from tinybox.isolation import rootfs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinybox.container.process.handles import Handles
    from tinybox.container.records.spec import Process


def pipes(process: Process, handles: Handles) -> list[Step]:
    """Plan what the parent makes in the place of its terminal, of which the program gets no descriptor."""
    if process.get("terminal") or not handles.terminals:
        return []
    from tinybox.container.process import relay

    says = "Make pipes to carry the streams that are our terminal"
    return [Step("pipes", says, "pipe(2)", relay.lay, handles)]


def steps(process: Process, handles: Handles, root: bytes, *, console: bool) -> list[Step]:
    """Return the steps that give *process* its streams; with *console*, a terminal is /dev/console as well.

    *root* is the box's root, as the child sees it by then. Only who wants a terminal loads what opens one.
    """
    says = "Begin a session of its own, to which our terminal does not belong"
    session = Step("session", says, "setsid(2)", begin_session)
    if not process.get("terminal"):
        return [
            session,
            Step("streams", "Take over stdin, stdout and stderr", "dup2(2)", connect_streams, handles, root),
        ]
    from tinybox.container.planning import terminal

    says = "Open a terminal of the box's own devpts for stdin, stdout and stderr"
    owner, size = process.get("user", {}).get("uid", 0), process.get("consoleSize", {})
    rows, columns = size.get("height", 0), size.get("width", 0)
    act = terminal.open_console if console else terminal.open_terminal
    return [session, Step("terminal", says, "pts(4)", act, handles, root, owner, (rows, columns))]


def begin_session() -> None:
    """Lead a new session without a controlling terminal; see setsid(2).

    PID 1 would else stay in ours: /dev/tty would be our terminal to it, and our Ctrl-C its signal, beside the one that
    we pass on.
    """
    os.setsid()


def connect_streams(handles: Handles, root: bytes) -> None:
    """Make the streams that tinybox was given this process's 0, 1 and 2; see dup2(2).

    A directory among them would be a way out to the host by ``..`` (CVE-2024-21626), so it is refused. The host's
    /dev/null becomes the box's below *root*: root of a box may change owner and mode of any file that it has open.
    """
    copies = [os.dup(fd) for fd in handles.streams]
    for number, fd in enumerate(copies):
        info = os.fstat(fd)
        if stat.S_ISDIR(info.st_mode):
            raise UsageError(f"file descriptor {number}", "is a directory", "redirect it from a file or a pipe")
        ours = _null(root, number) if rootfs.is_null(info) else fd
        os.dup2(ours, number)
        for each in {ours, fd}:
            os.close(each)


def _null(root: bytes, number: int) -> int:
    """Return the null device of the box; where it has lost that, an empty stdin is a pipe that nobody writes to."""
    try:
        return rootfs.open_null_below(root)
    except TinyboxError:
        if number != 0:
            raise
    reading, writing = os.pipe()
    os.close(writing)
    return reading
