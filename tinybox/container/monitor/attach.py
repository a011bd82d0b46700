"""attach: be the wire between our terminal and a container that its monitor watches over; see docker-attach(1)."""

from __future__ import annotations

import os
import select
import signal

from tinybox.container import control
from tinybox.container.monitor import attach_protocol
from tinybox.container.process import wait_loop
from tinybox.errors import StateError, UsageError
from tinybox.isolation import terminal

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket

    from tinybox.container.process.wait_loop import Signals
    from tinybox.container.records.paths import Paths

DETACH = "ctrl-p,ctrl-q"
ENDING = {signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM}  # us, where they are not the container's


class AttachSession:
    """One who is attached: *line* leads to the monitor, 0, 1 and 2 to the user."""

    def __init__(
        self, paths: Paths, container: str, line: _socket.socket, *, terminal_inside: bool, keys: bytes
    ) -> None:
        self.paths, self.container, self.line = paths, container, line
        self.terminal_inside, self.keys = terminal_inside, keys
        self.held = b""  # the beginning of the detach keys, not yet sent
        self.outbox: list[bytes] = []
        self.status: int | None = None
        line.setblocking(False)

    def hear(self) -> bool:
        """Show what the container wrote; False at its end."""
        packet = attach_protocol.receive(self.line)
        kind, data = packet[:1], packet[1:]
        if kind == attach_protocol.EXIT:
            self.status = int(data) if data.isdigit() and len(data) < 4 else None
            return False
        if kind in (attach_protocol.OUT, attach_protocol.ERR):
            wait_loop.write_all(1 if kind == attach_protocol.OUT else 2, data)
        return bool(packet)

    def say(self, packet: bytes) -> None:
        """Send *packet* to the monitor, or keep it until there is room."""
        self.outbox.append(packet)
        self.flush()

    def flush(self) -> None:
        """Send what is kept, as far as it goes. A monitor that has gone is no error here: its last words come first."""
        try:
            while self.outbox:
                self.line.send(self.outbox[0])
                del self.outbox[0]
        except BlockingIOError:
            return
        except (BrokenPipeError, ConnectionResetError):
            self.outbox.clear()

    def type(self, data: bytes) -> bool:
        """Send what was typed (nothing: its end), but for the detach keys; False when these are complete."""
        self.held += data
        at = self.held.find(self.keys) if self.terminal_inside and self.keys else -1
        if at >= 0:
            self.say(attach_protocol.INPUT + self.held[:at]) if at else None
            return False
        keep = 0
        if data and self.terminal_inside:
            keep = next((n for n in range(len(self.keys) - 1, 0, -1) if self.held.endswith(self.keys[:n])), 0)
        whole, self.held = self.held[: len(self.held) - keep], self.held[len(self.held) - keep :]
        if whole:
            self.say(attach_protocol.INPUT + whole)
        if not data:
            self.say(attach_protocol.END)
        return True

    def size(self) -> None:
        """Tell the monitor how large our window is."""
        if self.terminal_inside and os.isatty(0):
            self.say(attach_protocol.WINDOW + "{} {}".format(*terminal.size(0)).encode())

    def forward(self, numbers: list[int]) -> None:
        """Send on to the container what was sent to us."""
        for number in numbers:
            if number == signal.SIGWINCH:
                self.size()
            elif number not in (signal.SIGCHLD, signal.SIGPIPE, signal.SIGURG):
                try:
                    with control.running(self.paths, self.container) as target:
                        target.send(number)
                except StateError:
                    return


def attend(
    paths: Paths,
    container: str,
    line: _socket.socket,
    signals: Signals,
    *,
    stdin: bool,
    terminal_inside: bool,
    proxy: bool = True,
    keys: str = "",
) -> int:
    """Carry everything both ways until the container ends or the detach keys come; return its status, or 0.

    With *proxy*, signals sent to us go to the container; without, they end us alone, and the status is 128+N. *stdin*
    says whether our input is passed on.
    """
    visit = AttachSession(paths, container, line, terminal_inside=terminal_inside, keys=key_bytes(keys or DETACH))
    listening = stdin
    with terminal.RawMode(0 if terminal_inside and stdin else -1):
        visit.size()
        while True:
            reading = [line.fileno(), signals.fd, *([0] if listening and not visit.outbox else [])]
            ready, room, _ = select.select(reading, [line.fileno()] if visit.outbox else [], [])
            if room:
                visit.flush()
            if line.fileno() in ready and not visit.hear():
                break
            if signals.fd in ready:
                came = signals.pending()
                if not proxy and (fatal := ENDING.intersection(came)):
                    return 128 + min(fatal)
                visit.forward(came if proxy else [n for n in came if n == signal.SIGWINCH])
            if 0 in ready:
                typed = os.read(0, attach_protocol.PACKET_MAX - 1)
                listening = bool(typed)
                if not visit.type(typed):
                    return 0
    if visit.status is None:
        raise StateError(f"container {container[:12]}", "its monitor let go of us", "tinybox ps -a and logs tell more")
    return visit.status


def key_bytes(text: str) -> bytes:
    """Return ``ctrl-p,ctrl-q`` or ``a`` as the bytes that these keys send; UsageError for another word."""
    keys = b""
    for word in text.split(","):
        letter = word.removeprefix("ctrl-")
        if len(letter) != 1 or (word != letter and not 0x40 <= ord(letter.upper()) < 0x60):
            raise UsageError(f"--detach-keys {text}", f"{word} is no key", "a letter, or ctrl- and a letter")
        keys += bytes([ord(letter.upper()) - 0x40]) if word != letter else letter.encode()
    return keys
