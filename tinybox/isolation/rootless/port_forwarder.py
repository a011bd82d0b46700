"""The forwarder: it copies what arrives at published ports of the host to boxes, where pasta(1) is the way out.

It is in the network of the home, and does what slirp4netns(1) does there: it listens at the socket RUN/.network.sock,
and understands the same three requests. The sockets of ports come from the binder, which is in the host's network:
see home_pasta.py. A box sees an address of the home as its client's, as with slirp4netns.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import socket
from typing import TYPE_CHECKING, Any

from tinybox.linux import process
from tinybox.linux.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

    Address = tuple[str, int]

SOCKET = ".network.sock"  # in the run directory, which is the current one; see unix(7)
_PIECE = 1 << 16
_CLIENTS_MAX = 512  # of a UDP port; the one that was silent for longest is forgotten first
_PAUSE = 0.005  # seconds between two looks for pasta's route


def serve(namespace: int, binder: socket.socket, done: int) -> NoReturn:
    """Serve in this network *namespace*, for ever; write a byte to *done* when pasta and the socket are ready."""
    process.set_name(b"tinybox:forward")
    process.setns(namespace, process.CLONE_NEWNET)
    until(_has_default_route, math.inf, _PAUSE)
    asyncio.run(Forwarder(binder).serve(done))
    raise SystemExit


class Forwarder:
    """The ports that are forwarded now: *entries* describes each, by its id, as slirp4netns(1) does."""

    def __init__(self, binder: socket.socket) -> None:
        self._binder, self._last = binder, 0
        self.entries: dict[int, dict[str, Any]] = {}
        self._closing: dict[int, Callable[[], None]] = {}

    async def serve(self, done: int) -> None:
        """Answer requests, for ever; say so by a byte to *done*."""
        server = await asyncio.start_unix_server(self._answer, SOCKET)
        os.write(done, b"1")
        os.close(done)
        await server.serve_forever()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            asked = json.loads(await reader.read())
            answer = await self.do(asked["execute"], asked.get("arguments") or {})
        except (OSError, ValueError, KeyError, TypeError) as error:
            answer = {"error": {"desc": str(error)}}
        writer.write(json.dumps(answer).encode())
        writer.close()

    async def do(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Do one request; see "API SOCKET" in slirp4netns(1). OSError: the host does not permit the port."""
        if name == "list_hostfwd":
            return {"entries": [{"id": number, **entry} for number, entry in self.entries.items()]}
        if name == "remove_hostfwd":
            self._closing.pop(int(arguments["id"]))()
            del self.entries[int(arguments["id"])]
            return {"return": {}}
        if name != "add_hostfwd":
            raise ValueError(f"unknown request {name}")
        return {"return": {"id": await self._add(arguments)}}

    async def _add(self, entry: dict[str, Any]) -> int:
        """Forward a port of the host, and return its id."""
        guest = (entry["guest_addr"], int(entry["guest_port"]))
        made = self._bound({name: entry[name] for name in ("proto", "host_addr", "host_port")})
        if entry["proto"] == "tcp":
            close = (await asyncio.start_server(lambda *ends: _connected(guest, *ends), sock=made)).close
        else:
            loop = asyncio.get_running_loop()
            close = (await loop.create_datagram_endpoint(lambda: Datagrams(guest), sock=made))[0].close
        self._last += 1
        self.entries[self._last], self._closing[self._last] = entry, close
        return self._last

    def _bound(self, wanted: dict[str, Any]) -> socket.socket:
        """Let the binder bind a socket in the host's network, and return it; see SCM_RIGHTS in unix(7)."""
        self._binder.send(json.dumps(wanted).encode())
        said, fds, _, _ = socket.recv_fds(self._binder, 4096, 1)
        if not fds:
            raise OSError(said.decode())
        return socket.socket(fileno=fds[0])


class Datagrams(asyncio.DatagramProtocol):
    """One UDP port: each client has a socket of its own towards *guest*, by which the answers find their way back."""

    def __init__(self, guest: Address) -> None:
        self._guest, self._loop = guest, asyncio.get_running_loop()
        self._clients: dict[Address, socket.socket] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the port's own socket, which sends the answers."""
        self._transport: Any = transport

    def datagram_received(self, data: bytes, client: Address) -> None:
        """Pass one datagram on; the client becomes the last one that is forgotten."""
        towards = self._clients.pop(client, None) or self._opened(client)
        self._clients[client] = towards
        if len(self._clients) > _CLIENTS_MAX:
            self._forget(next(iter(self._clients)))
        try:
            towards.send(data)
        except OSError:  # no box listens: UDP loses datagrams
            return

    def connection_lost(self, _: Exception | None) -> None:
        """Close the sockets of all clients: the port is withdrawn."""
        for client in list(self._clients):
            self._forget(client)

    def _opened(self, client: Address) -> socket.socket:
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        made.connect(self._guest)
        self._loop.add_reader(made, self._answered, made, client)
        return made

    def _answered(self, made: socket.socket, client: Address) -> None:
        try:
            self._transport.sendto(made.recv(_PIECE), client)
        except OSError:
            return

    def _forget(self, client: Address) -> None:
        made = self._clients.pop(client)
        self._loop.remove_reader(made)
        made.close()


async def _connected(guest: Address, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Connect a client to *guest*, and copy in both directions until both have ended; see tcp(7)."""
    try:
        towards = await asyncio.open_connection(*guest)
    except OSError:  # the box has ended: the client is refused
        writer.transport.abort()
        return
    ends = (writer, towards[1])
    await asyncio.gather(_copy(reader, towards[1], ends), _copy(towards[0], writer, ends))
    for end in ends:
        end.close()


async def _copy(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, ends: tuple[asyncio.StreamWriter, ...]
) -> None:
    """Copy until the end of file, and pass that on; an error ends both directions."""
    try:
        while piece := await reader.read(_PIECE):
            writer.write(piece)
            await writer.drain()
        writer.write_eof()
    except OSError:
        for end in ends:
            end.transport.abort()


def _has_default_route() -> bool:
    """Return whether this network has a route to everywhere, which pasta makes last; see proc_pid_net(5)."""
    with open("/proc/self/net/route", encoding="utf-8") as file:
        return any(line.split()[1] == "00000000" for line in file.readlines()[1:])
