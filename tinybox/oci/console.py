"""--console-socket: send the master of the container's terminal over a unix socket to the engine, which listens there.

The terminal is made in the container; descriptor.py sends it.
"""

from __future__ import annotations

import os

from tinybox.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinybox.container.process.handles import Handles
    from tinybox.oci.command_line import CommandLine


def check(command: CommandLine, *, terminal: bool, detached: bool) -> None:
    """Raise UsageError for a detached terminal without a console socket, or a console socket without a terminal."""
    socket = command.value("console-socket")
    if terminal and detached and not socket:
        cause = "cannot allocate tty if the runtime will detach without setting console socket"
        raise UsageError("process.terminal", cause, "--console-socket SOCKET")
    if socket and not terminal:
        cause = "cannot use console socket if the runtime will not detach or allocate tty"
        raise UsageError("--console-socket", cause, "process.terminal or --tty")


def connect(command: CommandLine, handles: Handles) -> None:
    """Send the container's terminal to the console socket, if there is one.

    Otherwise this process relays its output: who reads that gets newlines without carriage returns, as with runc. The
    user's own terminal adds them.
    """
    if command.value("console-socket"):
        send(command.value("console-socket"), handles)
    elif handles.master >= 0:
        from tinybox.isolation import terminal

        terminal.keep_newlines(handles.master)
        handles.newlines = True


def send(path: str, handles: Handles) -> None:
    """Send the master of the container's terminal, and its name, to the socket at *path*, and close it here."""
    from tinybox.isolation import terminal
    from tinybox.oci import descriptor

    descriptor.send("console-socket", path, terminal.name_of(handles.master), handles.master)
    os.close(handles.master)
    handles.master = -1
