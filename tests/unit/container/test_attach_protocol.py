"""The attach protocol: input waits at the client's side; the container waits for a slow client, but not for ever."""

from __future__ import annotations

import os
import resource
import select
import socket
import time
from typing import TYPE_CHECKING

import pytest

from tinybox.container.monitor import attach_protocol, attach_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class FakeWaitLoop:
    """The part of a WaitLoop that an AttachServer needs: descriptors with their callbacks, and alarms."""

    def __init__(self) -> None:
        self.callbacks: dict[int, tuple[Callable[[], None], int]] = {}
        self.alarms: list[tuple[float, Callable[[], None]]] = []

    def listen(self, fd: int, callback: Callable[[], None], mask: int = select.POLLIN) -> None:
        """Store the callback for *fd*, and the poll events for it."""
        self.callbacks[fd] = (callback, mask)

    def ignore(self, fd: int) -> None:
        """Remove the callback for *fd*."""
        self.callbacks.pop(fd, None)

    def after(self, seconds: float, act: Callable[[], None]) -> None:
        """Store an alarm."""
        self.alarms.append((time.monotonic() + seconds, act))

    def turn(self, times: int = 1) -> None:
        """Call the callbacks of ready descriptors and due alarms, *times* times."""
        for _ in range(times):
            poll = select.poll()
            for fd, (_, mask) in self.callbacks.items():
                poll.register(fd, mask)
            for fd, _ in poll.poll(0):
                if fd in self.callbacks:
                    self.callbacks[fd][0]()
            for alarm in [alarm for alarm in self.alarms if alarm[0] <= time.monotonic()]:
                self.alarms.remove(alarm)
                alarm[1]()


class ServedContainer:
    """An AttachServer between pipes that stand for a container's streams, and a log that is a list."""

    def __init__(self) -> None:
        self.loop, self.logged = FakeWaitLoop(), list[tuple[str, bytes]]()
        self.out, self.out_in = os.pipe()
        self.stdin_out, self.stdin = os.pipe()
        for fd in (self.stdin, self.stdin_out, self.out_in):
            os.set_blocking(fd, False)
        log = lambda stream, data: self.logged.append((stream, data))  # noqa: E731
        self.server = attach_server.AttachServer(self.loop, log, {self.out: attach_protocol.OUT}, self.stdin)  # type: ignore[arg-type]

    def client(self) -> attach_server.Client:
        """Attach a client; return its end of the socket as a Client, which keeps packets that cannot be sent yet."""
        ours, theirs = attach_protocol.pair()
        self.server.admit(attach_server.Client(theirs))
        return attach_server.Client(ours)

    def close(self) -> None:
        """Close everything."""
        self.server.goodbye(0)
        for fd in {self.out, self.out_in, self.stdin_out, self.server.stdin} - {-1}:
            os.close(fd)


@pytest.fixture
def served() -> Iterator[ServedContainer]:
    """Give an AttachServer with its pipes."""
    it = ServedContainer()
    yield it
    it.close()


def drained(fd: int) -> bytes:
    """Read all that a pipe holds."""
    data = b""
    while select.select([fd], [], [], 0)[0] and (piece := os.read(fd, 65536)):
        data += piece
    return data


def test_output_goes_to_the_log_and_to_all_clients(served: ServedContainer) -> None:
    """Each client gets the container's output, and the log has it, too."""
    clients = [served.client(), served.client()]
    os.write(served.out_in, b"words")
    served.loop.turn()
    assert served.logged == [("stdout", b"words")]
    for client in clients:
        assert attach_protocol.receive(client.line) == attach_protocol.OUT + b"words"
        client.line.close()


def test_input_waits_at_the_client(served: ServedContainer) -> None:
    """If a container does not read, its pipe fills, the server holds one packet, the client the rest; END is last."""
    client, chunk = served.client(), b"x" * 30_000
    for _ in range(40):
        client.send(attach_protocol.INPUT + chunk)
    client.send(attach_protocol.END)
    for _ in range(20):
        served.loop.turn()
        client.flush()
    assert client.waiting
    assert 0 < len(served.server.typed) <= len(chunk)
    arrived = b""
    while served.server.stdin >= 0:
        arrived += drained(served.stdin_out)
        client.flush()
        served.loop.turn()
    arrived += drained(served.stdin_out)
    assert len(arrived) == 40 * len(chunk)
    client.line.close()


def test_the_container_waits_for_a_slow_client(served: ServedContainer) -> None:
    """If one client is far behind, no more output is read; it goes on when the client has read; nothing is lost."""
    client, written = served.client(), 0
    for _ in range(200):
        try:
            written += os.write(served.out_in, b"y" * 30_000)
        except BlockingIOError:
            break
        served.loop.turn()
    assert served.out not in served.loop.callbacks
    got = 0
    while got < written:
        try:
            got += len(attach_protocol.receive(client.line)) - 1
        except BlockingIOError:
            served.loop.turn()
    assert got == written
    assert served.out in served.loop.callbacks
    client.line.close()


def test_a_client_that_reads_nothing_is_disconnected(served: ServedContainer, monkeypatch: pytest.MonkeyPatch) -> None:
    """After PATIENCE seconds the container goes on without it, and the other clients have lost nothing."""
    monkeypatch.setattr(attach_server, "PATIENCE", 0.05)
    silent, reader = served.client(), served.client()
    got = 0
    for _ in range(400):
        try:
            os.write(served.out_in, b"z" * 30_000)
        except BlockingIOError:
            if len(served.server.clients) == 1:
                break
            time.sleep(0.01)
        served.loop.turn()
        while True:
            try:
                got += len(attach_protocol.receive(reader.line)) - 1
            except BlockingIOError:
                break
    assert len(served.server.clients) == 1
    while got < sum(len(data) for _, data in served.logged):  # the rest; a lost byte would raise BlockingIOError
        served.loop.turn()
        got += len(attach_protocol.receive(reader.line)) - 1
    assert got == sum(len(data) for _, data in served.logged) > attach_server.BACKLOG_MAX
    silent.line.close()
    reader.line.close()


MALFORMED = [
    b"w", b"wx y", b"w24", b"w24 80 1", b"w-1 80", b"w24 65536", b"w1e3 80", b"w\xb2 1", b"w" + b"9" * 5000 + b" 1",
    b"x0", b"1out", b"?", b"\0", b"\xff" * 100,
]  # fmt: skip


@pytest.mark.parametrize("packet", MALFORMED)
def test_a_client_that_sends_a_malformed_packet_is_disconnected(served: ServedContainer, packet: bytes) -> None:
    """A malformed packet ends only its sender's connection: other clients, and the container's streams, go on."""
    stranger, other = served.client(), served.client()
    resized: list[tuple[int, int]] = []
    served.server.resize = lambda rows, columns: resized.append((rows, columns))
    stranger.send(packet)
    served.loop.turn()
    assert len(served.server.clients) == 1
    assert attach_protocol.receive(stranger.line) == b""
    other.send(attach_protocol.WINDOW + b"24 65535")
    other.send(attach_protocol.INPUT + b"typed")
    os.write(served.out_in, b"words")
    served.loop.turn(3)
    assert resized == [(24, 65535)]
    assert drained(served.stdin_out) == b"typed"
    assert attach_protocol.receive(other.line) == attach_protocol.OUT + b"words"
    stranger.line.close()
    other.line.close()


def test_a_client_waits_while_no_descriptor_is_left(
    served: ServedContainer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """accept(2) that fails for lack of descriptors ends nothing: the client is accepted when there are some again."""
    monkeypatch.setattr(attach_server, "PAUSE", 0.05)
    server = attach_protocol.listen(str(tmp_path))
    served.loop.listen(server.fileno(), lambda: served.server.accept(server))
    client = attach_server.Client(attach_protocol.connect(str(tmp_path)))
    former = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, former[1]))
    try:
        served.server.accept(server)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, former)
    assert not served.server.clients
    time.sleep(0.06)
    served.loop.turn(2)
    assert len(served.server.clients) == 1
    client.line.close()
    server.close()


def test_packets_before_a_reset_are_received() -> None:
    """A peer that closes without reading everything resets the connection; its last packets can still be read."""
    ours, theirs = attach_protocol.pair()
    ours.send(b"unread")
    theirs.send(b"last words")
    theirs.close()
    assert attach_protocol.receive(ours) == b"last words"
    assert attach_protocol.receive(ours) == b""
    ours.close()


def test_a_socket_at_a_long_path(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A packet arrives although the directory's path is longer than the 108 bytes of sun_path; see unix(7)."""
    folder = tmp_path_factory.mktemp("x" * 120)
    server = attach_protocol.listen(str(folder))
    client = attach_protocol.connect(str(folder))
    client.send(b"a packet")
    accepted = socket.socket(fileno=server._accept()[0])  # type: ignore[attr-defined]
    assert attach_protocol.receive(accepted) == b"a packet"
    for line in (accepted, client, server):
        line.close()
