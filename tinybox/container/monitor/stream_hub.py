"""The streams of a container that has a log: pipes or a terminal, connected with the log and with attached clients.

The monitor of a background container uses it, and the command that runs one in the foreground (foreground.py).
"""

from __future__ import annotations

import os

from tinybox.container.monitor import attach_protocol, attach_server
from tinybox.container.process import wait_loop
from tinybox.container.records import spec

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket

    from tinybox.container.lifecycle import Container
    from tinybox.container.monitor.log import Log
    from tinybox.container.process.wait_loop import WaitLoop


class StreamHub:
    """Connects a container's stdin, stdout and stderr (pipes, or one terminal) with its log and attached clients."""

    def __init__(self, container: Container, log: Log, server: _socket.socket, client: _socket.socket | None) -> None:
        self.container, self.log, self.server, self.client = container, log, server, client
        self.outputs: dict[int, bytes] = {}
        self.stdin = -1
        self.child_ends: list[int] = []
        self.attach_server: attach_server.AttachServer | None = None

    def open(self) -> None:
        """Make the pipes for stdin, stdout and stderr; stdin is /dev/null without -i; see pipe(2).

        A container with a terminal needs none of them: `started` closes them.
        """
        out, out_in = os.pipe()
        err, err_in = os.pipe()
        stdin, self.stdin = os.pipe()
        self.outputs, self.child_ends = {out: attach_protocol.OUT, err: attach_protocol.ERR}, [stdin, out_in, err_in]
        if not self.passes_input():
            os.close(stdin)
            self.child_ends[0] = self.stdin_end()
            os.close(self.stdin)
            self.stdin = -1
        else:
            os.set_blocking(self.stdin, False)
        self.container.handles.streams = (self.child_ends[0], out_in, err_in)

    def passes_input(self) -> bool:
        """Return whether clients may write to the program's stdin (-i)."""
        return bool(self.container.annotations.get(spec.INTERACTIVE))

    def ends_input(self) -> bool:
        """Return whether the end of a client's input is the end of the program's; not with `run -d -i`, as in docker.

        There one client after the other may write to the program.
        """
        return spec.STDIN_ONCE in self.container.annotations

    def stdin_end(self) -> int:
        """Return the program's stdin if no input is passed on."""
        return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)

    def started(self) -> None:
        """Close the program's ends of the pipes; if there is a terminal, close all pipes, and use it instead."""
        for fd in self.child_ends:
            os.close(fd)
        self.child_ends = []
        master = self.container.handles.master
        if master >= 0:
            for fd in [*self.outputs, *([self.stdin] if self.stdin >= 0 else [])]:
                os.close(fd)
            os.set_blocking(master, False)
            self.outputs, self.stdin = {master: attach_protocol.OUT}, master

    def watch(self, watching: WaitLoop) -> None:
        """Pass data between container, log and clients until the container ends; then drain the pipes."""
        server = attach_server.AttachServer(watching, self.log.write, self.outputs, self.stdin)
        self.attach_server, server.resize, server.ends_input = server, self._resize, self.ends_input()
        self.admit_first()
        watching.listen(self.server.fileno(), lambda: server.accept(self.server))
        watching.until_the_end()
        server.drain()
        if self.log.failure:
            watching.complain(f"its log lacks lines, or is too long: {self.log.failure}")

    def admit_first(self) -> None:
        """Admit the client that was attached before the start, if there is one: it gets all of the output."""
        if self.client is not None and self.attach_server is not None:
            self.attach_server.admit(attach_server.Client(self.client))

    def _resize(self, rows: int, columns: int) -> None:
        self.container.handles.window = (rows, columns)  # also for the next start by the restart policy
        if self.container.handles.master >= 0:
            from tinybox.isolation import terminal

            terminal.set_size(self.container.handles.master, rows, columns)

    def close(self, status: int) -> None:
        """Send the exit *status* to the attached clients, and close all open fds."""
        if self.attach_server is not None:
            self.attach_server.goodbye(status)
            self.stdin = self.attach_server.stdin
        elif self.client is not None:
            self.client.close()
        for fd in [*self.child_ends, *self.outputs, *({self.stdin} - {-1} - set(self.outputs))]:
            if fd != self.container.handles.master:
                wait_loop.close_quietly(fd)
        self.outputs, self.child_ends, self.stdin = {}, [], -1
