"""--console-socket: send the master of the container's terminal over a unix socket to the engine, which listens there.

The terminal is made in the container. A file descriptor can be sent in a message between processes: the kernel gives
the receiver its own descriptor of the same open file; see SCM_RIGHTS in unix(7).
"""

from __future__ import annotations

import _socket  # the C module only: importing socket.py costs 4 ms more
import os
import struct

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
    """Send the master of the container's terminal, and its name, to the socket at *path*, and close it here.

    UsageError: no process listens there, or the socket does not exist.
    """
    channel = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
    try:
        channel.connect(path)
        right = (_socket.SOL_SOCKET, _socket.SCM_RIGHTS, struct.pack("i", handles.master))
        from tinybox.isolation import terminal

        channel.sendmsg([terminal.name_of(handles.master).encode()], [right])
    except OSError as error:
        raise UsageError(f"--console-socket {path}", error.strerror or str(error)) from error
    finally:
        channel.close()
    os.close(handles.master)
    handles.master = -1
