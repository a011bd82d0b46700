"""The seccomp agent: a process on the host that answers system calls that the filter does not decide (SCMP_ACT_NOTIFY).

The kernel gives the process that installs the filter a file descriptor on which these calls arrive and are answered.
tinybox sends it to the agent's socket, with the container's state; see "The Container Process State" in OCI's
config-linux.
"""

from __future__ import annotations

import _socket  # only the part in C: to import socket.py takes 4 ms more
import json
import struct

from tinybox.container.process import hooks
from tinybox.container.records import spec
from tinybox.errors import HostError

CONNECTION_LASTS = 10.0  # seconds that an agent may take to accept and read the message


class SeccompAgent:
    """The agent at the socket *path*, and the message for it: *metadata*, the container's id, bundle, annotations."""

    def __init__(self, path: str, metadata: str, container: str, bundle: str, annotations: dict[str, str]) -> None:
        self.path, self.metadata = path, metadata
        self.container, self.bundle, self.annotations = container, bundle, annotations

    def hand_over(self, pid: int, listener: int) -> None:
        """Send the fd *listener* of process *pid* with the container's state, and close the connection; see unix(7)."""
        state = json.loads(hooks.state_of(self.container, "creating", pid, self.bundle, self.annotations))
        message = {"ociVersion": spec.OCI_VERSION, "fds": ["seccompFd"], "pid": pid, "state": state}
        if self.metadata:
            message["metadata"] = self.metadata
        data, rights = json.dumps(message).encode(), struct.pack("i", listener)
        line = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
        try:
            line.settimeout(CONNECTION_LASTS)
            line.connect(self.path)
            sent = line.sendmsg([data], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, rights)])
            if sent < len(data):  # an agent that has read all may have closed the connection: write nothing more
                line.sendall(data[sent:])
        except OSError as error:
            cause = f"the agent does not accept the listener: {error.strerror or error}"
            raise HostError(f"linux.seccomp.listenerPath: {self.path}", cause, "start the agent first") from error
        finally:
            line.close()
