"""attach: pass data between this process's terminal and a background container's monitor; see docker-attach(1).

If this process is killed, the monitor drops the connection, and the container continues.
"""

from __future__ import annotations

import errno
import os
import select

from tinybox.container.monitor import attach_protocol
from tinybox.container.process import detaching
from tinybox.container.records import events
from tinybox.container.running import running
from tinybox.errors import StateError
from tinybox.isolation import terminal
from tinybox.linux.signals import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket

    from tinybox.container.process.wait_loop import Signals
    from tinybox.container.records.paths import Paths

ENDING = {signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM}  # end this process if they are not forwarded


class AttachSession:
    """The client's side of an attach: *line* is the socket to the monitor; fds 0, 1 and 2 belong to the user.

    *terminal_inside* states whether the container has a terminal; *keys* are the detach keys.
    """

    def __init__(self, paths: Paths, container: str, line: _socket.socket, *, terminal_inside: bool, keys: str) -> None:
        self.paths, self.container, self.line = paths, container, line
        self.terminal_inside, self.keys = terminal_inside, detaching.DetachKeys(keys)
        self.outbox: list[bytes] = []
        self.status: int | None = None
        self.is_cut = False  # a terminal of the user is gone; SIGHUP may come later, or be ignored
        self.terminals = [fd for fd in range(3) if os.isatty(fd)]
        line.setblocking(False)

    def hear(self) -> bool:
        """Read one packet and write the container's output to fd 1 or 2; return False at the container's end."""
        packet = attach_protocol.receive(self.line)
        kind, data = packet[:1], packet[1:]
        if kind == attach_protocol.EXIT:
            self.status = int(data) if data.isdigit() and len(data) < 4 else None
            return False
        if kind in (attach_protocol.OUT, attach_protocol.ERR):
            self.show(1 if kind == attach_protocol.OUT else 2, data)
        return bool(packet)

    def show(self, fd: int, data: bytes) -> None:
        """Write *data* to the user; if that terminal is gone (EIO), this client ends as by SIGHUP."""
        try:
            terminal.write_all(fd, data)
        except OSError as error:
            if error.errno != errno.EIO or fd not in self.terminals:
                raise
            self.is_cut, self.status = True, 128 + signal.SIGHUP

    def read_keys(self) -> tuple[bool, int | None]:
        """Pass on what was typed; return whether more may come, and the exit status if this client is to end now.

        A terminal that was closed seems to be at its end, but is no terminal any more: the program's stdin stays open.
        """
        try:
            typed = os.read(0, attach_protocol.PACKET_MAX - 1)
        except OSError:  # EIO: the terminal is gone, or this process is in the background and may not read it
            typed = b""
            if os.isatty(0):
                return False, None
        if 0 in self.terminals and not os.isatty(0):
            return False, 128 + signal.SIGHUP
        return bool(typed), None if self.type(typed) else 0

    def say(self, packet: bytes) -> None:
        """Send *packet* to the monitor, or keep it until there is room."""
        self.outbox.append(packet)
        self.flush()

    def flush(self) -> None:
        """Send the kept packets, as many as the socket takes.

        A monitor that has ended is no error here: its last packets, the exit status among them, are still to be read.
        """
        try:
            while self.outbox:
                self.line.send(self.outbox[0])
                del self.outbox[0]
        except BlockingIOError:
            return
        except (BrokenPipeError, ConnectionResetError):
            self.outbox.clear()

    def type(self, data: bytes) -> bool:
        """Send the typed *data* without the detach keys; return False when these keys are complete.

        Empty *data* is the end of the input.
        """
        whole, leaves = self.keys.take(data) if self.terminal_inside else (data, False)
        if leaves:
            events.emit(self.paths, self.container, "detach")
        if whole:
            self.say(attach_protocol.INPUT + whole)
        if not data:
            self.say(attach_protocol.END)
        return not leaves

    def size(self) -> None:
        """Send the window size of the user's terminal to the monitor."""
        if self.terminal_inside and any(size := terminal.window()):
            self.say(attach_protocol.WINDOW + "{} {}".format(*size).encode())

    def ending(self, *, proxy: bool) -> set[signal.Signals]:
        """Return the signals that end this process; with *proxy* only SIGHUP, if this process is on a terminal.

        That terminal goes, as when ssh is cut, and the container is to go on. All other signals are forwarded then.
        """
        if not proxy:
            return ENDING
        return {signal.SIGHUP} if self.terminals else set()

    def forward(self, numbers: list[int]) -> None:
        """Forward the signals that this process received to the container's program."""
        for number in numbers:
            if number == signal.SIGWINCH:
                self.size()
            elif number not in (signal.SIGCHLD, signal.SIGPIPE, signal.SIGURG):
                try:
                    with running(self.paths, self.container) as target:
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
    """Pass data both ways until the container ends or the detach keys are typed.

    Return the container's exit status, 0 after the detach keys, or 128+N after signal N without *proxy*; with *proxy*,
    signals are forwarded to the container. *stdin*: whether input is passed on. StateError if the monitor dies.
    """
    session = AttachSession(paths, container, line, terminal_inside=terminal_inside, keys=keys)
    listening = stdin
    with terminal.RawMode(0 if terminal_inside and stdin else -1):
        session.size()
        while True:
            reading = [line.fileno(), signals.fd, *([0] if listening and not session.outbox else [])]
            ready, room, _ = select.select(reading, [line.fileno()] if session.outbox else [], [])
            if room:
                session.flush()
            if (line.fileno() in ready and not session.hear()) or session.is_cut:
                break
            if signals.fd in ready:
                received = signals.pending()
                if fatal := session.ending(proxy=proxy).intersection(received):
                    return 128 + min(fatal)
                session.forward(received if proxy else [n for n in received if n == signal.SIGWINCH])
            if 0 in ready:
                listening, status = session.read_keys()
                if status is not None:
                    return status
    if session.status is None:
        raise StateError(f"container {container[:12]}", "its monitor closed the connection", "see tinybox ps -a, logs")
    return session.status
