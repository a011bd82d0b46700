"""The attach protocol between a container's monitor (the server) and attached clients: packets over a unix socket.

A packet's first byte is its kind: to the monitor ``i`` input, ``e`` end of input, ``w`` window size; from the
monitor ``1`` and ``2`` output, ``x`` the exit status, the last packet. SOCK_SEQPACKET keeps packets apart; see unix(7).
A client that sends anything else is disconnected; the container does not notice.
"""

from __future__ import annotations

import _socket
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

INPUT, END, WINDOW, OUT, ERR, EXIT = b"i", b"e", b"w", b"1", b"2", b"x"
PACKET_MAX = 32768


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
    line.listen(128)
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


def window(text: bytes) -> tuple[int, int] | None:
    """Return the rows and columns in a packet's *text*; None unless they are two unsigned shorts, see ioctl_tty(2)."""
    numbers = text.split(b" ")
    if len(numbers) != 2 or not all(number.isdigit() and len(number) <= 5 for number in numbers):
        return None
    rows, columns = map(int, numbers)
    return (rows, columns) if max(rows, columns) < 1 << 16 else None
