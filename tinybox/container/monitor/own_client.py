"""The user's own streams, usually fds 0, 1 and 2, as a client of a container that this process runs in the foreground.

If the user's terminal is closed (EIO; ssh was cut), only this client ends, and the container goes on. If another stream
takes no more (a pipe without a reader, a full disk), the container's stream is closed, as in a pipeline of the shell.
"""

from __future__ import annotations

import errno
import os

from tinybox.container.monitor.attach_protocol import END, ERR, INPUT, OUT, PACKET_MAX
from tinybox.container.monitor.attach_server import STREAMS, Client
from tinybox.container.process import user_streams
from tinybox.isolation import terminal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from tinybox.container.monitor.attach_server import AttachServer
    from tinybox.container.process.detaching import DetachKeys

BACKGROUND = 0.5  # seconds between two tries to read the terminal while tinybox is in the background


class OwnClient(Client):
    """A client whose packets are written to *screens*, stdout and stderr, and whose input is read from *keyboard*.

    It is read if `reads` is true. *leave* is called when *keys*, if given, are typed; *broken* with each stream (``1``
    or ``2``) that takes no more.
    """

    def __init__(
        self,
        server: AttachServer,
        keyboard: int,
        screens: tuple[int, int],
        keys: DetachKeys | None,
        *,
        leave: Callable[[], None],
        broken: Callable[[bytes], None],
    ) -> None:
        self.screens = screens
        self.server, self.keys, self.leave, self.broken = server, keys, leave, broken
        self.fd, self.reads, self.size, self.moved = keyboard, True, 0, 0.0
        self.waiting: list[bytes] = []

    def send(self, packet: bytes) -> bool:
        """Write the output in *packet*, or keep it, see user_streams.py; return False if the terminal is gone."""
        kind, data = packet[:1], packet[1:]
        if kind not in (OUT, ERR):
            return True
        try:
            user_streams.write(self.server.watch, self.screens[0 if kind == OUT else 1], data)
        except OSError as error:
            if error.errno == errno.EIO:
                return False
            if error.errno != errno.EPIPE:
                self.server.watch.complain(f"{STREAMS[kind]}: {error.strerror}; the log has all of the output")
            self.broken(kind)
        return True

    def flush(self) -> bool:
        """Do nothing: no packet waits."""
        return True

    def packet(self) -> bytes | None:
        """Return what was typed as a packet; None if the terminal is gone, or tinybox may not read it now."""
        try:
            typed = os.read(self.fd, PACKET_MAX - 1)
        except OSError:  # EIO
            self.reads = False
            if terminal.in_background(self.fd):
                self.server.watch.after(BACKGROUND, self._listen_again)
            return None
        passed, leaves = self.keys.take(typed) if self.keys is not None else (typed, False)
        if leaves:
            self.reads = False
            self.server.watch.after(0, self.leave)  # when the server has passed on what was typed before the keys
        elif not typed:
            self.reads = False
            return END if not passed else INPUT + passed
        return INPUT + passed

    def _listen_again(self) -> None:
        self.reads = True
        if self.fd in self.server.clients:
            self.server.attend(self)

    def part(self, status: int) -> None:
        """Do nothing: this process knows the status."""

    def close(self) -> None:
        """Do nothing: the streams stay open."""
