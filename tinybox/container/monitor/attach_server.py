"""The monitor's side of attach: it connects a container's streams with its log and with all attached clients.

A client that reads slowly makes the container wait for a moment, and is disconnected then. If the monitor is killed,
its clients see the end of their connections.
"""

from __future__ import annotations

import _socket
import errno
import os
import select
import time

from tinybox.container.monitor.attach_protocol import END, ERR, EXIT, INPUT, OUT, PACKET_MAX, WINDOW, receive, window
from tinybox.container.process import user_streams

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from tinybox.container.process.wait_loop import WaitLoop

BACKLOG_MAX = 1 << 20  # bytes that wait for one client; with more, the monitor reads no more output of the container
PATIENCE = 2.0  # seconds; a client that reads nothing for so long is disconnected; the log has all of the output
SPARE = 32  # descriptors that clients leave free: for health checks, a new log file, and the end of the container
PAUSE = 1.0  # seconds until the next accept(2) after one that failed because no descriptor was free
STREAMS = {OUT: "stdout", ERR: "stderr"}


def _refuse_the_last(fd: int) -> None:
    """Raise OSError (EMFILE) if this process has fewer than SPARE descriptors left; *fd* is any open one."""
    lowest = os.dup(fd)
    os.close(lowest)
    if lowest + SPARE > os.sysconf("SC_OPEN_MAX"):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


class Client:
    """The monitor's side of one attached client: its socket, and the packets that it has not read yet."""

    def __init__(self, line: _socket.socket) -> None:
        self.line, self.fd = line, line.fileno()
        self.reads = True  # whether the client's packets are read
        self.waiting: list[bytes] = []
        self.size = 0
        self.moved = time.monotonic()  # when the client last read a packet, or when no packet waited for it
        line.setblocking(False)

    def send(self, packet: bytes) -> bool:
        """Send *packet*, or keep it until the socket has room; return False if the client has gone."""
        if not self.waiting:
            self.moved = time.monotonic()
        self.waiting.append(packet)
        self.size += len(packet)
        return self.flush()

    def flush(self) -> bool:
        """Send the waiting packets, as many as the socket takes; return False if the client has gone."""
        try:
            while self.waiting:
                self.line.send(self.waiting[0], _socket.MSG_NOSIGNAL)
                self.size -= len(self.waiting.pop(0))
                self.moved = time.monotonic()
        except BlockingIOError:
            return True
        except OSError:
            return False
        return True

    def packet(self) -> bytes | None:
        """Return the client's next packet: no bytes at its end, None if there is none."""
        try:
            return receive(self.line)
        except BlockingIOError:
            return None
        except OSError:
            return b""

    def part(self, status: int) -> None:
        """Send all that waits and the exit *status*, for at most a second."""
        self.line.setblocking(True)
        self.line.settimeout(1)
        self.send(EXIT + str(status).encode())

    def close(self) -> None:
        """Close the connection."""
        self.line.close()


class AttachServer:
    """Connects a container's streams with its log and with all clients."""

    def __init__(
        self, watch: WaitLoop, log: Callable[[str, bytes], None], outputs: dict[int, bytes], stdin: int
    ) -> None:
        self.watch, self.log, self.outputs, self.stdin = watch, log, dict(outputs), stdin
        self.clients: dict[int, Client] = {}
        self.typed = b""
        self.throttled = self.timer_set = False
        self.ends_input = True  # the end of a client's input is that of the program's; else the stdin stays open
        self.resize: Callable[[int, int], None] = lambda rows, columns: None  # noqa: ARG005
        self._listen()

    def _listen(self) -> None:
        """Poll the container's outputs, unless a client is far behind; poll a terminal also for room for input."""
        for fd, kind in self.outputs.items():
            mask = (0 if self.throttled else select.POLLIN) | (select.POLLOUT if self.typed and fd == self.stdin else 0)
            if mask:
                self.watch.listen(fd, lambda fd=fd, kind=kind: self._output(fd, kind), mask)  # type: ignore[misc]
            else:
                self.watch.ignore(fd)

    def accept(self, server: _socket.socket) -> None:
        """Accept the client that connects to *server*; see accept(2).

        A client that would take one of the last descriptors waits in the queue: the container's end needs them.
        """
        try:
            _refuse_the_last(server.fileno())
            fd, _ = server._accept()  # type: ignore[attr-defined]  # noqa: SLF001  the C half's accept(2)
        except BlockingIOError:
            return
        except OSError:
            self.watch.ignore(server.fileno())
            self.watch.after(PAUSE, lambda: self.watch.listen(server.fileno(), lambda: self.accept(server)))
            return
        self.admit(Client(_socket.socket(fileno=fd)))

    def admit(self, client: Client) -> None:
        """Attach *client*."""
        self.clients[client.fd] = client
        self.attend(client)

    def attend(self, client: Client) -> None:
        """Poll *client* for packets, and for room if output waits for it.

        While the container has not read the former input, no further packet is read: it waits on the client's side,
        and the monitor stays small.
        """
        mask = (select.POLLIN if client.reads and not self.typed else 0) | (select.POLLOUT if client.waiting else 0)
        if mask:
            self.watch.listen(client.fd, lambda: self._hear(client), mask)
        else:
            self.watch.ignore(client.fd)

    def disconnect(self, client: Client) -> None:
        """Disconnect *client*; the container goes on."""
        if self.clients.pop(client.fd, None):
            self.watch.ignore(client.fd)
            client.close()
            self._throttle_output()

    def close_output(self, kind: bytes) -> list[int]:
        """Close the container's streams of this *kind* and return their fds.

        The program then gets SIGPIPE when it writes, or SIGHUP if the stream is its terminal.
        """
        closed = [fd for fd, known in self.outputs.items() if known == kind]
        for fd in closed:
            self.watch.ignore(fd)
            del self.outputs[fd]
            os.close(fd)
            if fd == self.stdin:
                self.stdin, self.typed = -1, b""
        return closed

    def _output(self, fd: int, kind: bytes) -> int:
        """Copy the container's output to the log and to all clients, and return how many bytes.

        EIO: no process inside has its terminal open.
        """
        if self.typed and fd == self.stdin:
            self._type(b"")
        try:
            data = os.read(fd, PACKET_MAX - 1)
        except BlockingIOError:  # a terminal that had room for input, but no output
            return 0
        except OSError:
            data = b""
        if data:
            self.log(STREAMS[kind], data)
            self.tell(kind + data)
            return len(data)
        self.watch.ignore(fd)
        del self.outputs[fd]
        if fd == self.stdin:
            self.stdin, self.typed = -1, b""
        return 0

    def tell(self, packet: bytes) -> None:
        """Send *packet* to every client; disconnect each client that has gone."""
        for client in list(self.clients.values()):
            if not client.send(packet):
                self.disconnect(client)
            elif client.waiting:
                self.attend(client)
        self._throttle_output()

    def _throttle_output(self) -> None:
        """Stop reading the container's output while a client has too much to read, until it has read half of it."""
        most = BACKLOG_MAX // 2 if self.throttled else BACKLOG_MAX
        throttled = any(client.size > most for client in self.clients.values())
        if throttled != self.throttled:
            self.throttled = throttled
            self._listen()
        if throttled and not self.timer_set:
            self.timer_set = True
            self.watch.after(PATIENCE, self._drop_stalled)

    def _drop_stalled(self) -> None:
        """Disconnect each client that has read nothing for PATIENCE seconds, so that it cannot stop the container."""
        self.timer_set = False
        for client in list(self.clients.values()):
            if client.size > BACKLOG_MAX // 2 and time.monotonic() - client.moved >= PATIENCE:
                self.disconnect(client)
        self._throttle_output()

    def _hear(self, client: Client) -> None:
        packet = self._packet(client)
        if not client.flush() or packet == b"":
            self.disconnect(client)
            return
        if packet and not self._handle(packet):
            self.disconnect(client)
            return
        self.attend(client)
        self._throttle_output()

    def _packet(self, client: Client) -> bytes | None:
        """Return the client's next packet: no bytes at its end, None if there is no packet or former input waits."""
        return None if self.typed else client.packet()

    def _handle(self, packet: bytes) -> bool:
        """Act on a client's *packet*; return False if the packet is not one of this protocol."""
        kind, data = packet[:1], packet[1:]
        if kind == INPUT:
            self._type(data)
        elif kind == END:
            if self.ends_input and self.stdin >= 0 and self.stdin not in self.outputs:
                os.close(self.stdin)
                self.stdin = -1
        elif kind == WINDOW and (size := window(data)):
            self.resize(*size)
        else:
            return False
        return True

    def _type(self, data: bytes) -> None:
        """Write input to the container as fast as it reads; while some input waits, no client's packets are read."""
        waited = bool(self.typed)
        self.typed += data if self.stdin >= 0 else b""
        try:
            while self.typed:
                self.typed = self.typed[os.write(self.stdin, self.typed) :]
        except BlockingIOError:
            pass
        except OSError:
            self.typed = b""
        if bool(self.typed) != waited:
            self._wait_for_room()
            for client in self.clients.values():
                self.attend(client)

    def _wait_for_room(self) -> None:
        """Poll the container's stdin for room while input waits, else stop; a terminal is polled for output anyway."""
        if self.stdin in self.outputs:
            self._listen()
        elif self.typed:
            self.watch.listen(self.stdin, lambda: self._type(b""), select.POLLOUT)
        else:
            self.watch.ignore(self.stdin)

    def drain(self) -> None:
        """Read the output that is still in the container's streams after its end.

        Without a pid namespace of its own, a process of it may still run, and write for ever: see user_streams.MOST.
        """
        unread = {fd: max(user_streams.unread(fd), user_streams.MOST) for fd in self.outputs}
        while ready := select.select([fd for fd in self.outputs if unread[fd] > 0], [], [], 0)[0]:
            for fd in ready:
                unread[fd] -= self._output(fd, self.outputs[fd])

    def goodbye(self, status: int) -> None:
        """Send the exit *status* to every client, and close the connections."""
        for client in list(self.clients.values()):
            client.part(status)
            self.disconnect(client)
