"""The attach protocol between a container's monitor (the server) and attached clients: packets over a unix socket.

A packet's first byte is its kind: to the monitor ``i`` input, ``e`` end of input, ``w`` window size; from the
monitor ``1`` and ``2`` output, ``x`` the exit status, the last packet. SOCK_SEQPACKET keeps packets apart; see unix(7).
A client that sends anything else is disconnected; the container does not notice.
"""

from __future__ import annotations

import _socket
import os
import select
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from tinybox.container.process.wait_loop import WaitLoop

INPUT, END, WINDOW, OUT, ERR, EXIT = b"i", b"e", b"w", b"1", b"2", b"x"
PACKET_MAX = 32768
BACKLOG_MAX = 1 << 20  # bytes that wait for one client; with more, the monitor reads no more output of the container
PATIENCE = 2.0  # seconds; a client that reads nothing for so long is disconnected; the log has all of the output
PAUSE = 1.0  # seconds until the next accept(2) after one that failed because no descriptor was free
STREAMS = {OUT: "stdout", ERR: "stderr"}


def _socket_at(folder: str, act: Callable[[_socket.socket, str], None]) -> _socket.socket:
    """Return a packet socket that *act* has bound or connected to FOLDER/attach.sock.

    The path goes through /proc/self/fd, because sun_path holds only 108 bytes and *folder* may be longer.
    """
    where = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    line = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC)
    try:
        act(line, f"/proc/self/fd/{where}/attach.sock")
    except OSError:
        line.close()
        raise
    finally:
        os.close(where)
    return line


def listen(folder: str) -> _socket.socket:
    """Return a socket that listens at FOLDER/attach.sock; a file that a dead monitor left there is replaced."""
    path = os.path.join(folder, "attach.sock")
    if os.path.exists(path):
        os.unlink(path)
    line = _socket_at(folder, lambda line, path: line.bind(path))
    line.listen(16)
    line.setblocking(False)
    return line


def connect(folder: str) -> _socket.socket:
    """Return a socket connected to the monitor that listens at FOLDER/attach.sock; see connect(2)."""
    return _socket_at(folder, lambda line, path: line.connect(path))


def pair() -> tuple[_socket.socket, _socket.socket]:
    """Return both ends of a connection for a client that is attached before the program starts; see socketpair(2)."""
    first, second = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC)
    return first, second


def receive(line: _socket.socket) -> bytes:
    """Return the next packet, or no bytes at the end of the connection.

    ECONNRESET means that the peer closed its socket without reading all packets. The kernel reports it before packets
    that arrived earlier, which are still in the queue: so read a second time.
    """
    try:
        return line.recv(PACKET_MAX)
    except ConnectionResetError:
        return line.recv(PACKET_MAX)


def _window(text: bytes) -> tuple[int, int] | None:
    """Return the rows and columns in a packet's *text*; None unless they are two unsigned shorts, see ioctl_tty(2)."""
    numbers = text.split(b" ")
    if len(numbers) != 2 or not all(number.isdigit() and len(number) <= 5 for number in numbers):
        return None
    rows, columns = map(int, numbers)
    return (rows, columns) if max(rows, columns) < 1 << 16 else None


class Client:
    """The monitor's side of one attached client: its socket, and the packets that it has not read yet."""

    def __init__(self, line: _socket.socket) -> None:
        self.line = line
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


class AttachServer:
    """Connects a container's streams with its log and with all clients."""

    def __init__(
        self, watch: WaitLoop, log: Callable[[str, bytes], None], outputs: dict[int, bytes], stdin: int
    ) -> None:
        self.watch, self.log, self.outputs, self.stdin = watch, log, dict(outputs), stdin
        self.clients: dict[int, Client] = {}
        self.typed = b""
        self.throttled = self.timer_set = False
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
        """Accept the client that connects to *server*; see accept(2)."""
        try:
            fd, _ = server._accept()  # type: ignore[attr-defined]  # noqa: SLF001  the C half's accept(2)
        except BlockingIOError:
            return
        except OSError:  # no descriptor is free; the client waits in the queue: try again later
            self.watch.ignore(server.fileno())
            self.watch.after(PAUSE, lambda: self.watch.listen(server.fileno(), lambda: self.accept(server)))
            return
        self.admit(_socket.socket(fileno=fd))

    def admit(self, line: _socket.socket) -> None:
        """Attach the client at the other end of *line*."""
        client = self.clients[line.fileno()] = Client(line)
        self._attend(client)

    def _attend(self, client: Client) -> None:
        """Poll *client* for packets, and for room if output waits for it.

        While the container has not read the former input, no further packet is read: it waits on the client's side,
        and the monitor stays small.
        """
        mask = (0 if self.typed else select.POLLIN) | (select.POLLOUT if client.waiting else 0)
        if mask:
            self.watch.listen(client.line.fileno(), lambda: self._hear(client), mask)
        else:
            self.watch.ignore(client.line.fileno())

    def _disconnect(self, client: Client) -> None:
        fd = client.line.fileno()
        if self.clients.pop(fd, None):
            self.watch.ignore(fd)
            client.line.close()
            self._throttle_output()

    def _output(self, fd: int, kind: bytes) -> None:
        """Copy the container's output to the log and to all clients; EIO: no process inside has its terminal open."""
        if self.typed and fd == self.stdin:
            self._type(b"")
        try:
            data = os.read(fd, PACKET_MAX - 1)
        except BlockingIOError:  # a terminal that had room for input, but no output
            return
        except OSError:
            data = b""
        if data:
            self.log(STREAMS[kind], data)
            self.tell(kind + data)
            return
        self.watch.ignore(fd)
        del self.outputs[fd]
        if fd == self.stdin:
            self.stdin, self.typed = -1, b""

    def tell(self, packet: bytes) -> None:
        """Send *packet* to every client; disconnect each client that has gone."""
        for client in list(self.clients.values()):
            if not client.send(packet):
                self._disconnect(client)
            elif client.waiting:
                self._attend(client)
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
                self._disconnect(client)
        self._throttle_output()

    def _hear(self, client: Client) -> None:
        packet = self._packet(client)
        if not client.flush() or packet == b"":
            self._disconnect(client)
            return
        if packet and not self._handle(packet):
            self._disconnect(client)
            return
        self._attend(client)
        self._throttle_output()

    def _packet(self, client: Client) -> bytes | None:
        """Return the client's next packet: no bytes at its end, None if there is no packet or former input waits."""
        if self.typed:
            return None
        try:
            return receive(client.line)
        except BlockingIOError:
            return None
        except OSError:
            return b""

    def _handle(self, packet: bytes) -> bool:
        """Act on a client's *packet*; return False if the packet is not one of this protocol."""
        kind, data = packet[:1], packet[1:]
        if kind == INPUT:
            self._type(data)
        elif kind == END:
            if self.stdin >= 0 and self.stdin not in self.outputs:
                os.close(self.stdin)
                self.stdin = -1
        elif kind == WINDOW and (size := _window(data)):
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
                self._attend(client)

    def _wait_for_room(self) -> None:
        """Poll the container's stdin for room while input waits, else stop; a terminal is polled for output anyway."""
        if self.stdin in self.outputs:
            self._listen()
        elif self.typed:
            self.watch.listen(self.stdin, lambda: self._type(b""), select.POLLOUT)
        else:
            self.watch.ignore(self.stdin)

    def drain(self) -> None:
        """Read the output that is still in the container's streams after its end."""
        while ready := select.select(list(self.outputs), [], [], 0)[0]:
            for fd in ready:
                self._output(fd, self.outputs[fd])

    def goodbye(self, status: int) -> None:
        """Send the exit *status* to every client, and close the connections."""
        for client in list(self.clients.values()):
            client.line.setblocking(True)
            client.line.settimeout(1)
            client.send(EXIT + str(status).encode())
            self._disconnect(client)
