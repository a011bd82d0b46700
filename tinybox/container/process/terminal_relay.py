"""The terminal relay (-t): copy bytes between tinybox's terminal, fds 0 and 1, and the master end of the box's one.

The box outlives the relay: if tinybox's terminal is closed (EIO; ssh was cut), the program goes on, and its output is
read and dropped, so that it never waits. If tinybox's stdout is a pipe or a file that takes no more, the box's terminal
is closed, so that the program gets SIGHUP, as a program in a pipe gets SIGPIPE. See tty(4) and pts(4).
"""

from __future__ import annotations

import errno
import os
import select

from tinybox.container.process import user_streams
from tinybox.isolation import terminal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from tinybox.container.process.handles import Handles
    from tinybox.container.process.user_streams import Signals

    class WaitLoop(Protocol):
        """What this file uses of wait_loop.WaitLoop, which imports this file."""

        handles: Handles
        handlers: dict[int, Callable[[], object]]

        @property
        def signals(self) -> Signals:
            """The signals that it reads."""

        def listen(self, fd: int, handler: Callable[[], object], mask: int = select.POLLIN) -> None:
            """Call *handler* whenever *fd* is ready."""

        def ignore(self, fd: int) -> None:
            """Stop listening to *fd*."""

        def after(self, seconds: float, act: Callable[[], None]) -> None:
            """Call *act* once, after *seconds*."""

        def until_the_end(self) -> None:
            """Handle events until the program has ended."""

        def complain(self, text: str) -> None:
            """Keep the first *text* that says what went wrong."""

        def survives(self, act: Callable[[], object]) -> bool:
            """Call *act*, and keep its error."""

        def forward_signals(self) -> None:
            """Send pending signals to the program."""


BACKGROUND = 0.5  # seconds between two tries to read the terminal while tinybox is in the background
_CHUNK = 65536


class TerminalRelay:
    """The relay of the program that *watching* waits for."""

    def __init__(self, watching: WaitLoop) -> None:
        self.watching, self.handles = watching, watching.handles
        self.typed = b""  # typed bytes for which the box's terminal has no room yet
        self.reads, self.shows = self.handles.interactive, True
        self.raw = terminal.RawMode(0, output=self.handles.newlines)

    def carry(self) -> None:
        """Copy bytes in both directions until the program ends, and then the rest of its output."""
        with self.raw:
            terminal.follow_window(self.handles.master)  # it may have changed since the plan was made
            os.set_blocking(self.handles.master, False)
            self.watching.listen(self.handles.master, self.show_output)
            self._listen_to_keys()
            self.watching.until_the_end()
            unread = user_streams.MOST
            while unread > 0 and self.handles.master in self.watching.handlers and self._has_more():
                unread -= self.show_output()

    def _has_more(self) -> bool:
        return bool(select.select([self.handles.master], [], [], 0)[0])

    def _listen_to_keys(self) -> None:
        if self.reads:
            self.watching.listen(0, self.type_in)

    def type_in(self) -> None:
        """Copy typed bytes to the box's terminal, as fast as that accepts them."""
        try:
            typed = os.read(0, _CHUNK)
        except OSError:  # EIO: the terminal is gone, or tinybox is in the background and may not read it
            self.watching.ignore(0)
            if terminal.in_background(0):
                self.watching.after(BACKGROUND, self._listen_to_keys)
            return
        leaving = self.handles.leaving
        passed, leaves = leaving.take(typed) if leaving is not None else (typed, False)
        self.typed += passed
        if not typed or leaves:
            self.reads = False
            self.watching.ignore(0)
        self.carry_typed()
        if leaving is not None and leaves:
            self.shows = False
            self.raw.__exit__()
            leaving.go()

    def carry_typed(self) -> None:
        """Write typed bytes to the box's terminal; while it is full (EAGAIN, write(2)), do not read more input.

        To wait here instead would be a deadlock: a program that echoes its input stops reading while its output is not
        read, and this process reads it.
        """
        try:
            while self.typed:
                self.typed = self.typed[os.write(self.handles.master, self.typed) :]
        except BlockingIOError:
            self.watching.ignore(0)
            self.watching.listen(self.handles.master, self.show_output, select.POLLIN | select.POLLOUT)
        except OSError:
            self.typed = b""

    def show_output(self) -> int:
        """Copy the output of the box's terminal to stdout, and return how many bytes; see pts(4).

        EIO: no process has the box's terminal open.
        """
        if self.typed:
            self.carry_typed()
            if not self.typed:
                self.watching.listen(self.handles.master, self.show_output)
                self._listen_to_keys()
        try:
            shown = os.read(self.handles.master, _CHUNK)
        except BlockingIOError:
            return 0
        except OSError:
            shown = b""
        if not shown:
            self.watching.ignore(self.handles.master)
        elif self.shows:
            self._show(shown)
        return len(shown)

    def _show(self, shown: bytes) -> None:
        try:
            user_streams.write(self.watching, 1, shown)
        except OSError as error:
            self.shows = False
            if error.errno != errno.EIO:
                self._hang_up(error)

    def _hang_up(self, error: OSError) -> None:
        """Close the box's terminal, because stdout takes no more of its output: EPIPE, or a full disk."""
        self.reads, self.typed = False, b""
        self.watching.ignore(0)
        self.watching.ignore(self.handles.master)
        os.close(self.handles.master)
        self.handles.master = -1
        if error.errno != errno.EPIPE:
            self.watching.complain(f"stdout: {error.strerror}")
