"""A terminal's way out of the box: its master is made inside, and sent to the engine over a socket that it listens at.

A file descriptor can travel in a message between processes: the kernel gives the receiver its own number for the same
open file; see SCM_RIGHTS in unix(7).
"""

from __future__ import annotations

import _socket  # the C half alone: socket.py costs 4 ms more
import os
import struct

from tinybox.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinybox.container.process.handles import Handles
    from tinybox.oci.words import Words


def check(words: Words, *, wanted: bool, detached: bool) -> None:
    """See that a terminal has somewhere to go, and that a socket has a terminal to wait for; else UsageError."""
    socket = words.value("console-socket")
    if wanted and detached and not socket:
        cause = "cannot allocate tty if the runtime will detach without setting console socket"
        raise UsageError("process.terminal", cause, "--console-socket SOCKET")
    if socket and not wanted:
        cause = "cannot use console socket if the runtime will not detach or allocate tty"
        raise UsageError("--console-socket", cause, "process.terminal or --tty")


def send(path: str, handles: Handles) -> None:
    """Send the master of the container's terminal, and its name, to the socket at *path*; then it is not ours any more.

    ConnectionRefusedError, FileNotFoundError: nobody listens there.
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
