"""Send a file descriptor over a unix socket to an engine, which listens there: SCM_RIGHTS in unix(7).

The kernel gives the receiver a descriptor of its own for the same open file.
"""

from __future__ import annotations

import _socket  # the C module only: importing socket.py costs 4 ms more
import struct

from tinybox.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinybox.container.process.handles import Handles
    from tinybox.oci.command_line import CommandLine


def send(option: str, path: str, name: str, fd: int) -> None:
    """Send *fd* with its *name* to the socket at *path*; UsageError: no process listens there."""
    channel = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
    try:
        channel.connect(path)
        channel.sendmsg([name.encode()], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, struct.pack("i", fd))])
    except OSError as error:
        raise UsageError(f"--{option} {path}", error.strerror or str(error)) from error
    finally:
        channel.close()


def send_pidfd(command: CommandLine, handles: Handles) -> None:
    """Send a pidfd of the new process to --pidfd-socket; see pidfd_open(2).

    Its name is that of runc's: ``standard`` for a container's first process, ``setns`` for one of an exec.
    """
    name = "setns" if command.verb == "exec" else "standard"
    send("pidfd-socket", command.value("pidfd-socket"), name, handles.pidfd)
