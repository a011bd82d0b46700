"""The wire: what is typed waits on the typist's side, and who reads slowly is waited for, but not for ever."""

from __future__ import annotations

import os
import resource
import select
import time
from typing import TYPE_CHECKING

import pytest

from tinybox.container.monitor import attach_protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class Loop:
    """The part of a Watch that a switchboard needs: who is listened to, and alarms."""

    def __init__(self) -> None:
        self.meaning: dict[int, tuple[Callable[[], None], int]] = {}
        self.alarms: list[tuple[float, Callable[[], None]]] = []

    def listen(self, fd: int, meaning: Callable[[], None], mask: int = select.POLLIN) -> None:
        """Note what to call, and when."""
        self.meaning[fd] = (meaning, mask)

    def ignore(self, fd: int) -> None:
        """Forget it."""
        self.meaning.pop(fd, None)

    def after(self, seconds: float, act: Callable[[], None]) -> None:
        """Note an alarm."""
        self.alarms.append((time.monotonic() + seconds, act))

    def turn(self, times: int = 1) -> None:
        """Answer what is ready, so many times."""
        for _ in range(times):
            poll = select.poll()
            for fd, (_, mask) in self.meaning.items():
                poll.register(fd, mask)
            for fd, _ in poll.poll(0):
                if fd in self.meaning:
                    self.meaning[fd][0]()
            for alarm in [alarm for alarm in self.alarms if alarm[0] <= time.monotonic()]:
                self.alarms.remove(alarm)
                alarm[1]()


class Desk:
    """A switchboard between pipes that stand for a container's streams, and a log that is a list."""

    def __init__(self) -> None:
        self.loop, self.logged = Loop(), list[tuple[str, bytes]]()
        self.out, self.out_in = os.pipe()
        self.stdin_out, self.stdin = os.pipe()
        for fd in (self.stdin, self.stdin_out, self.out_in):
            os.set_blocking(fd, False)
        log = lambda stream, data: self.logged.append((stream, data))  # noqa: E731
        self.board = attach_protocol.AttachServer(self.loop, log, {self.out: attach_protocol.OUT}, self.stdin)  # type: ignore[arg-type]

    def guest(self) -> attach_protocol.Client:
        """Attach someone; return his side of the line, as something that keeps what it cannot send."""
        ours, theirs = attach_protocol.pair()
        self.board.admit(theirs)
        return attach_protocol.Client(ours)

    def close(self) -> None:
        """Close everything."""
        self.board.goodbye(0)
        for fd in {self.out, self.out_in, self.stdin_out, self.board.stdin} - {-1}:
            os.close(fd)


@pytest.fixture
def desk() -> Iterator[Desk]:
    """Give a switchboard with its pipes."""
    it = Desk()
    yield it
    it.close()


def drained(fd: int) -> bytes:
    """Read all that a pipe holds."""
    data = b""
    while select.select([fd], [], [], 0)[0] and (piece := os.read(fd, 65536)):
        data += piece
    return data


def test_output_goes_to_the_log_and_to_everyone(desk: Desk) -> None:
    """Each guest gets what the container writes, and the log has it, too."""
    guests = [desk.guest(), desk.guest()]
    os.write(desk.out_in, b"words")
    desk.loop.turn()
    assert desk.logged == [("stdout", b"words")]
    for guest in guests:
        assert attach_protocol.receive(guest.line) == attach_protocol.OUT + b"words"
        guest.line.close()


def test_input_waits_with_the_typist(desk: Desk) -> None:
    """A container that does not read takes what its pipe holds, the board one packet; the end comes behind it all."""
    guest, chunk = desk.guest(), b"x" * 30_000
    for _ in range(40):
        guest.send(attach_protocol.INPUT + chunk)
    guest.send(attach_protocol.END)
    for _ in range(20):
        desk.loop.turn()
        guest.flush()
    assert guest.waiting
    assert 0 < len(desk.board.typed) <= len(chunk)
    arrived = b""
    while desk.board.stdin >= 0:
        arrived += drained(desk.stdin_out)
        guest.flush()
        desk.loop.turn()
    arrived += drained(desk.stdin_out)
    assert len(arrived) == 40 * len(chunk)
    guest.line.close()


def test_the_container_waits_for_a_slow_guest(desk: Desk) -> None:
    """With too much waiting for one guest no more output is read; it goes on when he has read, and nothing is lost."""
    guest, written = desk.guest(), 0
    for _ in range(200):
        try:
            written += os.write(desk.out_in, b"y" * 30_000)
        except BlockingIOError:
            break
        desk.loop.turn()
    assert desk.out not in desk.loop.meaning
    got = 0
    while got < written:
        try:
            got += len(attach_protocol.receive(guest.line)) - 1
        except BlockingIOError:
            desk.loop.turn()
    assert got == written
    assert desk.out in desk.loop.meaning
    guest.line.close()


def test_who_reads_nothing_is_let_go(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a while the container goes on without him, and the others have lost nothing."""
    monkeypatch.setattr(attach_protocol, "PATIENCE", 0.05)
    silent, reader = desk.guest(), desk.guest()
    got = 0
    for _ in range(400):
        try:
            os.write(desk.out_in, b"z" * 30_000)
        except BlockingIOError:
            if len(desk.board.clients) == 1:
                break
            time.sleep(0.01)
        desk.loop.turn()
        while True:
            try:
                got += len(attach_protocol.receive(reader.line)) - 1
            except BlockingIOError:
                break
    assert len(desk.board.clients) == 1
    assert got >= sum(len(data) for _, data in desk.logged) - attach_protocol.BACKLOG_MAX
    silent.line.close()
    reader.line.close()


MALFORMED = [
    b"w", b"wx y", b"w24", b"w24 80 1", b"w-1 80", b"w24 65536", b"w1e3 80", b"w\xb2 1", b"w" + b"9" * 5000 + b" 1",
    b"x0", b"1out", b"?", b"\0", b"\xff" * 100,
]  # fmt: skip


@pytest.mark.parametrize("packet", MALFORMED)
def test_who_sends_what_means_nothing_is_let_go(desk: Desk, packet: bytes) -> None:
    """A malformed packet ends its sender's visit alone: the others, and the container's streams, go on as they were."""
    stranger, other = desk.guest(), desk.guest()
    resized: list[tuple[int, int]] = []
    desk.board.resize = lambda rows, columns: resized.append((rows, columns))
    stranger.send(packet)
    desk.loop.turn()
    assert len(desk.board.clients) == 1
    assert attach_protocol.receive(stranger.line) == b""
    other.send(attach_protocol.WINDOW + b"24 65535")
    other.send(attach_protocol.INPUT + b"typed")
    os.write(desk.out_in, b"words")
    desk.loop.turn(3)
    assert resized == [(24, 65535)]
    assert drained(desk.stdin_out) == b"typed"
    assert attach_protocol.receive(other.line) == attach_protocol.OUT + b"words"
    stranger.line.close()
    other.line.close()


def test_who_comes_where_no_descriptor_is_left_waits_at_the_door(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """accept(2) that fails for want of descriptors ends nothing: who waits is let in when there are some again."""
    monkeypatch.setattr(attach_protocol, "PAUSE", 0.05)
    server = attach_protocol.listen(str(tmp_path))
    desk.loop.listen(server.fileno(), lambda: desk.board.welcome(server))
    guest = attach_protocol.Client(attach_protocol.connect(str(tmp_path)))
    former = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, former[1]))
    try:
        desk.board.welcome(server)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, former)
    assert not desk.board.clients
    time.sleep(0.06)
    desk.loop.turn(2)
    assert len(desk.board.clients) == 1
    guest.line.close()
    server.close()


def test_what_came_before_a_reset_is_heard() -> None:
    """A side that goes without reading all resets the line; its last words are still there."""
    ours, theirs = attach_protocol.pair()
    ours.send(b"unread")
    theirs.send(b"last words")
    theirs.close()
    assert attach_protocol.receive(ours) == b"last words"
    assert attach_protocol.receive(ours) == b""
    ours.close()


def test_a_line_to_a_long_path(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A directory's path may be longer than the 108 bytes of sun_path."""
    folder = tmp_path_factory.mktemp("x" * 120)
    server = attach_protocol.listen(str(folder))
    client = attach_protocol.connect(str(folder))
    client.close()
    server.close()
