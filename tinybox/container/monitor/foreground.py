"""Run a container in the foreground with a log and with attached clients, as docker does, but without a monitor.

This process owns the container. With detach keys it becomes the monitor of it, see process/detaching.py. `run --rm`
without a terminal does not need this file: the program gets tinybox's streams, and nobody reads a log later.
"""

from __future__ import annotations

import os

from tinybox.container import lifecycle
from tinybox.container.monitor import attach_protocol
from tinybox.container.monitor.log import opened
from tinybox.container.monitor.own_client import OwnClient
from tinybox.container.monitor.stream_hub import StreamHub
from tinybox.isolation import terminal

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket

    from tinybox.container.lifecycle import Container
    from tinybox.container.monitor.log import Log
    from tinybox.container.process.detaching import Departure
    from tinybox.container.process.wait_loop import Ending, Signals, WaitLoop


def run_logged(container: Container, signals: Signals, departure: Departure | None = None) -> Ending:
    """Run a registered container as lifecycle.run() does, with a log; the user may leave by the keys of *departure*."""
    try:
        log = opened(container)
        server = attach_protocol.listen(container.paths.run_directory(container.id))
    except BaseException:
        container.handles.close()
        lifecycle.discard(container)
        raise
    try:
        return lifecycle.run(container, signals, OwnStreams(container, log, server, departure))
    finally:
        log.close()
        server.close()


class OwnStreams(StreamHub):
    """The streams of a container in the foreground: the log, attached clients, and the user's own streams."""

    def __init__(self, container: Container, log: Log, server: _socket.socket, departure: Departure | None) -> None:
        super().__init__(container, log, server, None)
        self.departure, self.raw = departure, terminal.RawMode(0)
        self.keyboard, *screens = container.handles.streams
        self.screens = (screens[0], screens[1])

    def passes_input(self) -> bool:
        """Return whether input is passed on; else the program gets the stdin of tinybox, which is no terminal."""
        return self.container.handles.interactive

    def ends_input(self) -> bool:
        """Return that the end of the user's input is the end of the program's, as in a pipeline of the shell."""
        return True

    def stdin_end(self) -> int:
        """Return the program's stdin if no input is passed on: the one that tinybox was given."""
        return os.dup(self.keyboard)

    def watch(self, watching: WaitLoop) -> None:
        """Do the same as StreamHub, and copy between the user's streams and the container's."""
        self.watching = watching
        if self.container.handles.master < 0:
            super().watch(watching)
            return
        with self.raw:
            terminal.follow_window(self.container.handles.master)
            super().watch(watching)

    def admit_first(self) -> None:
        """Admit the user's own streams before all other clients."""
        assert self.attach_server is not None  # noqa: S101
        keys = self.departure if self.container.handles.master >= 0 else None
        self.own = OwnClient(
            self.attach_server, self.keyboard, self.screens, keys, leave=self._leave, broken=self._break
        )
        self.own.reads = self.passes_input()
        self.attach_server.admit(self.own)

    def _leave(self) -> None:
        """Restore the user's terminal, and go on in the background as the container's monitor."""
        assert self.departure is not None  # noqa: S101
        assert self.attach_server is not None  # noqa: S101
        self.attach_server.disconnect(self.own)
        self.raw.__exit__()
        self.departure.area = self.container.host.arguments
        self.departure.told = lambda: self.container.emit("detach")
        self.departure.go()
        from tinybox.container.monitor import resting  # late: it is only needed here

        resting.plan(self.watching, self.container.bundle)

    def _break(self, kind: bytes) -> None:
        """Close the container's stream of this *kind*, because the user's one takes no more of it."""
        assert self.attach_server is not None  # noqa: S101
        for fd in self.attach_server.close_output(kind):
            del self.outputs[fd]
            if fd == self.container.handles.master:
                self.container.handles.master = -1

    def close(self, status: int) -> None:
        """Close all, also the log, which is complete before the container is at rest."""
        super().close(status)
        self.log.close()
