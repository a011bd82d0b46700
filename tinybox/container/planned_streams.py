"""The plan's chapter on stdin, stdout and stderr: those that tinybox was given, or a terminal of the box's own."""

from __future__ import annotations

import os

from tinybox.container.plan import Step
from tinybox.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinybox.container.live import Live
    from tinybox.container.spec import Process


def steps(process: Process, live: Live, root: bytes, *, console: bool) -> list[Step]:
    """Return the step that gives *process* its streams; with *console*, a terminal is /dev/console as well.

    *root* is the box's root, as the child sees it by then. Only who wants a terminal loads what opens one.
    """
    if not process.get("terminal"):
        return [Step("streams", "Take over stdin, stdout and stderr", "dup2(2)", connect_streams, live)]
    from tinybox.container import planned_terminal

    says = "Open a terminal of the box's own devpts for stdin, stdout and stderr"
    owner, size = process.get("user", {}).get("uid", 0), process.get("consoleSize", {})
    rows, columns = size.get("height", 0), size.get("width", 0)
    act = planned_terminal.open_console if console else planned_terminal.open_terminal
    return [Step("terminal", says, "pts(4)", act, live, root, owner, (rows, columns))]


def connect_streams(live: Live) -> None:
    """Make the streams that tinybox was given this process's 0, 1 and 2; see dup2(2).

    A directory among them would be a way out to the host by ``..`` (CVE-2024-21626), so it is refused.
    """
    copies = [os.dup(fd) for fd in live.streams]
    for number, fd in enumerate(copies):
        if os.path.isdir(fd):
            raise UsageError(f"file descriptor {number}", "is a directory", "redirect it from a file or a pipe")
        os.dup2(fd, number)
        os.close(fd)
