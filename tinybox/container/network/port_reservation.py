"""Claims: a published port of the host is taken like any other, by a socket that is bound to it.

Packets never reach that socket, for the firewall leads them to the box before. It is there so that a port in use is
found at once, and so that nobody else takes it while the box lives; the kernel frees it when its owner ends.
"""

from __future__ import annotations

import _socket  # the C half alone: socket.py costs 4 ms more
import errno
import os

from tinybox.container.network import published_ports
from tinybox.errors import HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinybox.container.network.published_ports import Port

_TYPES = {"tcp": _socket.SOCK_STREAM, "udp": _socket.SOCK_DGRAM}
_IPPROTO_IPV6, _IPV6_V6ONLY = 41, 26
_NO_IPV6 = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)


class Reservation:
    """One port of the host that is ours: *port* is what was asked for, with the number that was chosen."""

    def __init__(self, port: Port, sockets: list[_socket.socket]) -> None:
        self.port, self._sockets = port, sockets

    def close(self) -> None:
        """Give it free."""
        for socket in self._sockets:
            socket.close()


def reserve(port: Port) -> Reservation:
    """Take the host's side of *port*, of a range the first that is free; HostError if there is none."""
    for number in range(port["hostPort"], port.get("hostPortLast", port["hostPort"]) + 1):
        try:
            sockets = _bound(port, number)
        except OSError as error:
            refusal = error
            continue
        return Reservation({**port, "hostPort": sockets[0].getsockname()[1]}, sockets)
    where = f"port {published_ports.outside(port)}/{port['protocol']}"
    if refusal.errno == errno.EADDRINUSE:
        raise HostError(
            where, "is already allocated: address already in use", "choose another; ss -tulnp says whose it is"
        )
    raise HostError(
        where, f"cannot be taken: {os.strerror(refusal.errno or 0)}", "an address of this host, or none for all"
    )


def _bound(port: Port, number: int) -> list[_socket.socket]:
    """Return sockets bound to a port; one published on every address is taken for IPv6 as well, where there is any."""
    made: list[_socket.socket] = []
    try:
        for address in [port["hostIp"]] if port["hostIp"] else ["0.0.0.0", "::"]:  # noqa: S104  that is what -p means
            try:
                made.append(_bind(address, made[0].getsockname()[1] if made else number, _TYPES[port["protocol"]]))
            except OSError as error:
                if not made or error.errno not in _NO_IPV6:
                    raise
    except BaseException:
        for socket in made:
            socket.close()
        raise
    return made


def _bind(address: str, number: int, kind: int) -> _socket.socket:
    """Bind a socket to *address* and port *number*, so that nobody else can, and yet nobody gets through to it.

    SO_REUSEADDR lets it have a port on which connections have just ended (TIME-WAIT); listen(2) makes it ours alone in
    spite of that; and once shutdown(2) has ended the listening, who knocks is refused instead of left waiting.
    """
    family = _socket.AF_INET6 if ":" in address else _socket.AF_INET
    socket = _socket.socket(family, kind | _socket.SOCK_CLOEXEC)
    try:
        if family == _socket.AF_INET6:
            socket.setsockopt(_IPPROTO_IPV6, _IPV6_V6ONLY, 1)
        if kind == _socket.SOCK_STREAM:
            socket.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
        socket.bind((address, number))
        if kind == _socket.SOCK_STREAM:
            socket.listen(0)
            socket.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 0)
            socket.shutdown(_socket.SHUT_RDWR)
    except BaseException:
        socket.close()
        raise
    return socket
