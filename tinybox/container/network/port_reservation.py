"""Port reservation: hold each published port of the host (``-p``) by a socket that is bound to it.

Packets never reach that socket, because the firewall sends them to the box first. The socket finds a port in use at
once, and keeps other programs from taking the port while the box runs. The kernel closes the socket when the
container's owner ends, also by SIGKILL.
"""

from __future__ import annotations

import _socket  # only the C half: importing socket.py takes 4 ms more
import errno
import os

from tinybox.container.network import published_ports
from tinybox.errors import HostError
from tinybox.linux import user_namespaces

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinybox.container.network.published_ports import Port

_TYPES = {"tcp": _socket.SOCK_STREAM, "udp": _socket.SOCK_DGRAM}
_IPPROTO_IPV6, _IPV6_V6ONLY = 41, 26
_NO_IPV6 = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)


class Reservation:
    """A reserved port of the host: *port* is the requested port, with the host port that was chosen."""

    def __init__(self, port: Port, sockets: list[_socket.socket]) -> None:
        self.port, self._sockets = port, sockets

    def close(self) -> None:
        """Release the port."""
        if user_namespaces.live:
            from tinybox.isolation.rootless import home_network

            home_network.withdraw(user_namespaces.live, self.port["protocol"], self.port["hostPort"])
        for socket in self._sockets:
            socket.close()


def reserve(port: Port) -> Reservation:
    """Reserve the host's side of *port*; in a range, the first port that is free; HostError if none is free."""
    for number in range(port["hostPort"], port.get("hostPortLast", port["hostPort"]) + 1):
        try:
            sockets = _bound(port, number)
            chosen: Port = {**port, "hostPort": sockets[0].getsockname()[1]}
            if user_namespaces.live:
                _publish(chosen, sockets)
        except OSError as error:
            refusal = error
            continue
        return Reservation(chosen, sockets)
    where = f"port {published_ports.outside(port)}/{port['protocol']}"
    if refusal.errno == errno.EADDRINUSE and user_namespaces.live:
        cause = "is already allocated, or this user may not use it: sysctl net.ipv4.ip_unprivileged_port_start"
        raise HostError(where, cause, "choose another, from 1024 on; ss -tulnp shows its user")
    if refusal.errno == errno.EADDRINUSE:
        raise HostError(
            where, "is already allocated: address already in use", "choose another; ss -tulnp shows its user"
        )
    raise HostError(
        where, f"cannot be taken: {os.strerror(refusal.errno or 0)}", "give an address of this host, or none for all"
    )


def _publish(port: Port, sockets: list[_socket.socket]) -> None:
    """Publish a port that is reserved in the network of a home on the host, too; OSError: it is in use there."""
    from tinybox.isolation.rootless import home_network

    try:
        home_network.publish(user_namespaces.live, port["protocol"], port["hostIp"], port["hostPort"])
    except OSError:
        for socket in sockets:
            socket.close()
        raise


def _bound(port: Port, number: int) -> list[_socket.socket]:
    """Return sockets bound to a port; if it is published on every address, IPv6 included, where the host has IPv6."""
    made: list[_socket.socket] = []
    every = not port["hostIp"] or user_namespaces.live  # slirp4netns opens the address; here all lead to the box
    try:
        for address in ["0.0.0.0", "::"] if every else [port["hostIp"]]:  # noqa: S104  that is docker's -p
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
    """Bind a socket to *address* and port *number*, so that no other process can, but accept no connection.

    SO_REUSEADDR allows a port on which connections have just ended (TIME-WAIT). listen(2) makes the port exclusive in
    spite of that option. shutdown(2) then ends the listening, so that a client is refused instead of left waiting.
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
