"""The forwarder of published ports, where pasta is the way out: bytes and datagrams arrive as they were sent."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import threading
from typing import TYPE_CHECKING

import pytest

from tinybox.isolation.rootless import home_pasta
from tinybox.isolation.rootless.port_forwarder import Forwarder

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator
    from pathlib import Path

HOST = "127.0.0.1"
MUCH = bytes(range(256)) * 40_000  # more than the buffers of a connection hold


@pytest.fixture
def forwarder() -> Iterator[Forwarder]:
    """Give a forwarder whose binder is a thread; in the end, the binder sees the end of file, and ends."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    never, writer = os.pipe()
    binder = threading.Thread(target=home_pasta.serve, args=(ours, never, never))
    binder.start()
    with theirs, ours:
        yield Forwarder(theirs)
        theirs.close()
        binder.join()
    os.close(never)
    os.close(writer)


def conduct(forwarder: Forwarder, check: Callable[[], Coroutine[None, None, None]]) -> None:
    """Run *check* in an event loop, then withdraw all ports, so that no socket is left."""

    async def both() -> None:
        await check()
        for number in list(forwarder.entries):
            await forwarder.do("remove_hostfwd", {"id": number})

    asyncio.run(both())


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """Return a port that no program uses now."""
    with socket.socket(type=kind) as one:
        one.bind((HOST, 0))
        port: int = one.getsockname()[1]
        return port


def request(proto: str, port: int, guest: int) -> dict[str, object]:
    """Return the arguments of add_hostfwd."""
    return {"proto": proto, "host_addr": HOST, "host_port": port, "guest_addr": HOST, "guest_port": guest}


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Read to the end of file, and only then send all of it back."""
    writer.write(await reader.read())
    await writer.drain()
    writer.close()


def test_a_connection_is_copied_in_both_directions(forwarder: Forwarder) -> None:
    """Ten megabytes come back after the client's end of file; after remove_hostfwd the port is closed."""

    async def check() -> None:
        server = await asyncio.start_server(echo, HOST, 0)
        port, guest = free_port(), server.sockets[0].getsockname()[1]
        number = (await forwarder.do("add_hostfwd", request("tcp", port, guest)))["return"]["id"]
        reader, writer = await asyncio.open_connection(HOST, port)
        writer.write(MUCH)
        writer.write_eof()
        assert await reader.read() == MUCH
        writer.close()
        await writer.wait_closed()
        (entry,) = (await forwarder.do("list_hostfwd", {}))["entries"]
        assert (entry["id"], entry["proto"], entry["host_port"]) == (number, "tcp", port)
        await forwarder.do("remove_hostfwd", {"id": number})
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(HOST, port)
        assert await forwarder.do("list_hostfwd", {}) == {"entries": []}
        server.close()

    conduct(forwarder, check)


def test_a_client_of_a_closed_guest_is_sent_away(forwarder: Forwarder) -> None:
    """Where nothing listens, the client's connection ends at once, as with docker's proxy; the port stays open."""

    async def check() -> None:
        port = free_port()
        await forwarder.do("add_hostfwd", request("tcp", port, free_port()))
        for _ in range(2):
            reader, writer = await asyncio.open_connection(HOST, port)
            assert await reader.read() == b""
            writer.close()
            await writer.wait_closed()

    conduct(forwarder, check)


def test_each_client_of_a_udp_port_gets_its_own_answers(forwarder: Forwarder) -> None:
    """Two clients send at once; the guest sees two addresses, and each answer finds its client."""

    async def check() -> None:
        with socket.socket(type=socket.SOCK_DGRAM) as guest:
            guest.bind((HOST, 0))
            port = free_port(socket.SOCK_DGRAM)
            await forwarder.do("add_hostfwd", request("udp", port, guest.getsockname()[1]))
            await asyncio.to_thread(ask_both, guest, port)

    conduct(forwarder, check)


def ask_both(guest: socket.socket, port: int) -> None:
    """Send from two clients, answer in the reverse order, and compare what each gets."""
    clients = [socket.socket(type=socket.SOCK_DGRAM) for _ in range(2)]
    for one in (guest, *clients):
        one.settimeout(10)
    for number, client in enumerate(clients):
        client.sendto(f"question {number}".encode(), (HOST, port))
    asked = [guest.recvfrom(99) for _ in clients]
    assert len({address for _, address in asked}) == 2
    for data, address in reversed(asked):
        guest.sendto(data.replace(b"question", b"answer"), address)
    assert [client.recv(99) for client in clients] == [b"answer 0", b"answer 1"]
    for client in clients:
        client.close()


def test_a_port_in_use_is_an_error(forwarder: Forwarder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The binder's error comes through the socket of requests, and the next request works."""
    monkeypatch.chdir(tmp_path)

    async def check() -> None:
        with socket.socket() as other:
            other.bind((HOST, 0))
            other.listen()
            taken = other.getsockname()[1]
            with pytest.raises(OSError, match=os.strerror(errno.EADDRINUSE)):
                await forwarder.do("add_hostfwd", request("tcp", taken, 1))
        assert (await forwarder.do("add_hostfwd", request("tcp", free_port(), 1)))["return"] == {"id": 1}

    conduct(forwarder, check)
