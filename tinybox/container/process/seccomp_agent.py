"""The agent: somebody outside who answers for system calls that the filter does not decide (SCMP_ACT_NOTIFY).

The kernel gives the filter's owner a file descriptor on which the calls are told and answered. It is handed to the
agent over its socket, with the state of the container; see "The Container Process State" in OCI's config-linux.
"""

from __future__ import annotations

import _socket  # the C half alone: socket.py costs 4 ms more
import json
import struct

from tinybox.container.process import hooks
from tinybox.container.records import spec
from tinybox.errors import HostError

CONNECTION_LASTS = 10.0  # seconds that an agent may take to read what it is told


class SeccompAgent:
    """The agent at *path*, and what it is sent: *metadata*, and the container's id, bundle and annotations."""

    def __init__(self, path: str, metadata: str, container: str, bundle: str, annotations: dict[str, str]) -> None:
        self.path, self.metadata = path, metadata
        self.container, self.bundle, self.annotations = container, bundle, annotations

    def hand_over(self, pid: int, listener: int) -> None:
        """Send the fd *listener* of process *pid* and its container's state, once, and hang up; see unix(7)."""
        state = json.loads(hooks.state_of(self.container, "creating", pid, self.bundle, self.annotations))
        told = {"ociVersion": spec.OCI_VERSION, "fds": ["seccompFd"], "pid": pid, "state": state}
        if self.metadata:
            told["metadata"] = self.metadata
        data, rights = json.dumps(told).encode(), struct.pack("i", listener)
        line = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
        try:
            line.settimeout(CONNECTION_LASTS)
            line.connect(self.path)
            sent = line.sendmsg([data], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, rights)])
            line.sendall(data[sent:])
        except OSError as error:
            cause = f"nobody takes the listener: {error.strerror or error}"
            raise HostError(f"linux.seccomp.listenerPath: {self.path}", cause, "start the agent first") from error
        finally:
            line.close()
