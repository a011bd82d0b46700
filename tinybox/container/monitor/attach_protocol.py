"""The wire between a watched container and whoever is attached to it: packets over a unix socket.

A packet's first byte says what it is: to the monitor ``i`` input, ``e`` end of input, ``w`` window size; from the
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
BACKLOG_MAX = 1 << 20  # bytes that wait for one who is attached; with more, the container waits, too
PATIENCE = 2.0  # seconds; who reads nothing at all for so long is let go, and the container goes on: the log has it all
PAUSE = 1.0  # seconds until the next accept(2), where no descriptor was left for a client
STREAMS = {OUT: "stdout", ERR: "stderr"}


def _socket_at(folder: str, act: Callable[[_socket.socket, str], None]) -> _socket.socket:
    """Return a packet socket, bound or connected below *folder*, however long its path: sun_path holds 108 bytes."""
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
    """Return a socket that listens at FOLDER/attach.sock; one that a dead monitor left there is replaced."""
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
    """Return both ends of a line, for who is attached from the first byte on; see socketpair(2)."""
    first, second = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC)
    return first, second


def receive(line: _socket.socket) -> bytes:
    """Return the next packet, nothing at the end. A reset tells that the other side went without reading all of ours.

    It is told before the packets that came earlier, which are still there: so ask once more.
    """
    try:
        return line.recv(PACKET_MAX)
    except ConnectionResetError:
        return line.recv(PACKET_MAX)


def _window(said: bytes) -> tuple[int, int] | None:
    """Return the rows and columns that a packet tells, None if they are no size: two unsigned shorts, ioctl_tty(2)."""
    numbers = said.split(b" ")
    if len(numbers) != 2 or not all(number.isdigit() and len(number) <= 5 for number in numbers):
        return None
    rows, columns = map(int, numbers)
    return (rows, columns) if max(rows, columns) < 1 << 16 else None


class Client:
    """One who is attached: what he has not read yet waits here."""

    def __init__(self, line: _socket.socket) -> None:
        self.line = line
        self.waiting: list[bytes] = []
        self.size = 0
        self.moved = time.monotonic()  # when he last took something, or had nothing to take
        line.setblocking(False)

    def send(self, packet: bytes) -> bool:
        """Send *packet*, or keep it for later; False when he has gone."""
        if not self.waiting:
            self.moved = time.monotonic()
        self.waiting.append(packet)
        self.size += len(packet)
        return self.flush()

    def flush(self) -> bool:
        """Send what waits, as far as it goes; False when he has gone."""
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
    """Connects a container's streams with its log and with all guests."""

    def __init__(
        self, watch: WaitLoop, log: Callable[[str, bytes], None], outputs: dict[int, bytes], stdin: int
    ) -> None:
        self.watch, self.log, self.outputs, self.stdin = watch, log, dict(outputs), stdin
        self.guests: dict[int, Client] = {}
        self.typed = b""
        self.held_up = self.alarmed = False
        self.resize: Callable[[int, int], None] = lambda rows, columns: None  # noqa: ARG005
        self._listen()

    def _listen(self) -> None:
        """Listen to the container's outputs, unless a guest is far behind; to a terminal for room for what is typed."""
        for fd, kind in self.outputs.items():
            mask = (0 if self.held_up else select.POLLIN) | (select.POLLOUT if self.typed and fd == self.stdin else 0)
            if mask:
                self.watch.listen(fd, lambda fd=fd, kind=kind: self._output(fd, kind), mask)  # type: ignore[misc]
            else:
                self.watch.ignore(fd)

    def welcome(self, server: _socket.socket) -> None:
        """Take in whoever connects to *server*."""
        try:
            fd, _ = server._accept()  # type: ignore[attr-defined]  # noqa: SLF001  the C half's accept(2)
        except BlockingIOError:
            return
        except OSError:  # no descriptor is left, and the client waits: try again later
            self.watch.ignore(server.fileno())
            self.watch.after(PAUSE, lambda: self.watch.listen(server.fileno(), lambda: self.welcome(server)))
            return
        self.admit(_socket.socket(fileno=fd))

    def admit(self, line: _socket.socket) -> None:
        """Attach the guest at the other end of *line*."""
        guest = self.guests[line.fileno()] = Client(line)
        self._attend(guest)

    def _attend(self, guest: Client) -> None:
        """Listen to *guest*, but not to what he types while the container has not taken what was typed before.

        So what he types waits on his side, and the monitor stays small. Whether there is room for output that waits
        for him is another question.
        """
        mask = (0 if self.typed else select.POLLIN) | (select.POLLOUT if guest.waiting else 0)
        if mask:
            self.watch.listen(guest.line.fileno(), lambda: self._hear(guest), mask)
        else:
            self.watch.ignore(guest.line.fileno())

    def _leave(self, guest: Client) -> None:
        fd = guest.line.fileno()
        if self.guests.pop(fd, None):
            self.watch.ignore(fd)
            guest.line.close()
            self._mind_the_slow()

    def _output(self, fd: int, kind: bytes) -> None:
        """Carry what the container wrote to the log and to everyone; EIO: a terminal that nobody inside has open."""
        if self.typed and fd == self.stdin:
            self._type(b"")
        try:
            data = os.read(fd, PACKET_MAX - 1)
        except BlockingIOError:  # a terminal, which only had room for what was typed
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
        """Send *packet* to every guest; who has gone is let go."""
        for guest in list(self.guests.values()):
            if not guest.send(packet):
                self._leave(guest)
            elif guest.waiting:
                self._attend(guest)
        self._mind_the_slow()

    def _mind_the_slow(self) -> None:
        """Let the container wait while some guest is far behind, until he has read half of it."""
        most = BACKLOG_MAX // 2 if self.held_up else BACKLOG_MAX
        held_up = any(guest.size > most for guest in self.guests.values())
        if held_up != self.held_up:
            self.held_up = held_up
            self._listen()
        if held_up and not self.alarmed:
            self.alarmed = True
            self.watch.after(PATIENCE, self._lose_patience)

    def _lose_patience(self) -> None:
        """Let go of who has read nothing for a while: he shall not stop the container."""
        self.alarmed = False
        for guest in list(self.guests.values()):
            if guest.size > BACKLOG_MAX // 2 and time.monotonic() - guest.moved >= PATIENCE:
                self._leave(guest)
        self._mind_the_slow()

    def _hear(self, guest: Client) -> None:
        packet = self._packet(guest)
        if not guest.flush() or packet == b"":
            self._leave(guest)
            return
        if packet and not self._take(packet):
            self._leave(guest)
            return
        self._attend(guest)
        self._mind_the_slow()

    def _packet(self, guest: Client) -> bytes | None:
        """Return the guest's next packet, nothing at his end, None while there is none or the last one still waits."""
        if self.typed:
            return None
        try:
            return receive(guest.line)
        except BlockingIOError:
            return None
        except OSError:
            return b""

    def _take(self, packet: bytes) -> bool:
        """Do what a guest's *packet* says; False where it says nothing that is known: he speaks another protocol."""
        kind, said = packet[:1], packet[1:]
        if kind == INPUT:
            self._type(said)
        elif kind == END:
            if self.stdin >= 0 and self.stdin not in self.outputs:
                os.close(self.stdin)
                self.stdin = -1
        elif kind == WINDOW and (size := _window(said)):
            self.resize(*size)
        else:
            return False
        return True

    def _type(self, data: bytes) -> None:
        """Pass input on as fast as the container takes it; while some waits, nobody's further input is read."""
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
            for guest in self.guests.values():
                self._attend(guest)

    def _wait_for_room(self) -> None:
        """Listen whether the container takes input again, or no longer: a terminal is listened to for output anyway."""
        if self.stdin in self.outputs:
            self._listen()
        elif self.typed:
            self.watch.listen(self.stdin, lambda: self._type(b""), select.POLLOUT)
        else:
            self.watch.ignore(self.stdin)

    def drain(self) -> None:
        """Read what the container has left in its streams when it ended."""
        while ready := select.select(list(self.outputs), [], [], 0)[0]:
            for fd in ready:
                self._output(fd, self.outputs[fd])

    def goodbye(self, status: int) -> None:
        """Tell everyone how it ended, and close."""
        for guest in list(self.guests.values()):
            guest.line.setblocking(True)
            guest.line.settimeout(1)
            guest.send(EXIT + str(status).encode())
            self._leave(guest)
