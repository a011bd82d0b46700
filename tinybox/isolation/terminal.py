"""Pseudo-terminals (-t/--tty): make one for the container, copy its size, and set the host's terminal to raw mode.

The container's program has the slave end, tinybox the master end. The kernel between the two ends echoes input, edits
lines and turns Ctrl-C into a signal, as for a keyboard and a screen. The pair is made in the container's own devpts, so
that /dev/pts/0 exists in the container.
"""

from __future__ import annotations

import fcntl
import os
import select
import struct
import termios

from tinybox.linux.filesystem import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Self

_TIOCSPTLCK, _TIOCGPTPEER, _TIOCGPTN = 0x40045431, 0x5441, 0x80045430


class Pty:
    """The two ends of a new terminal in the devpts mounted below *root*; see pts(4) and TIOCGPTPEER, Linux 4.13."""

    def __init__(self, root: bytes) -> None:
        rootfd = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            inside = files.RESOLVE_IN_ROOT | files.RESOLVE_NO_MAGICLINKS
            self.master = files.openat2(rootfd, b"/dev/pts/ptmx", os.O_RDWR | os.O_NOCTTY, inside)
        finally:
            os.close(rootfd)
        fcntl.ioctl(self.master, _TIOCSPTLCK, struct.pack("i", 0))
        self.slave = fcntl.ioctl(self.master, _TIOCGPTPEER, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
        self.name = name_of(self.master)


def name_of(master: int) -> str:
    """Return the container's path of the slave of the terminal *master*; see TIOCGPTN in ioctl_tty(2)."""
    return f"/dev/pts/{struct.unpack('i', fcntl.ioctl(master, _TIOCGPTN, bytes(4)))[0]}"


def size(fd: int) -> tuple[int, int]:
    """Return the (rows, columns) of the terminal *fd*; see TIOCGWINSZ in ioctl_tty(2)."""
    rows, columns, _, _ = struct.unpack("4H", fcntl.ioctl(fd, termios.TIOCGWINSZ, bytes(8)))
    return rows, columns


def set_size(fd: int, rows: int, columns: int) -> None:
    """Set the size of the terminal *fd*; its foreground processes get SIGWINCH; see TIOCSWINSZ in ioctl_tty(2)."""
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("4H", rows, columns, 0, 0))


def window() -> tuple[int, int]:
    """Return the (rows, columns) of this process's terminal: its stdout, stdin or stderr; zeros if there is none.

    A terminal that has just been closed (EIO) counts as none. The order is docker's, which looks at stdout first.
    """
    for fd in (1, 0, 2):
        try:
            if any(found := size(fd)):
                return found
        except OSError:
            continue
    return 0, 0


def follow_window(target: int) -> None:
    """Set the size of the terminal *target* to that of this process's terminal, if it has one with a size."""
    found = window()
    if any(found):
        set_size(target, *found)


def in_background(fd: int) -> bool:
    """Return whether *fd* is tinybox's controlling terminal with another process group in the foreground.

    See tcgetpgrp(3).
    """
    try:
        return os.tcgetpgrp(fd) != os.getpgrp()
    except OSError:
        return False


def write_all(fd: int, data: bytes) -> None:
    """Write all of *data*, and wait as long as that takes; see write(2) for why one call may not be enough."""
    while data:
        try:
            data = data[os.write(fd, data) :]
        except BlockingIOError:  # another process that has this terminal open has set O_NONBLOCK
            select.select([], [fd], [])


class RawMode:
    """A context manager that sets the host's terminal *fd* to raw mode, and restores it at the end; see termios(3).

    In raw mode every key goes to the container's terminal, which echoes and edits. If *fd* is not a terminal, or is one
    that was closed, it does nothing. If the process is killed, the terminal stays in raw mode. With *output*, it goes
    on to process output.
    """

    def __init__(self, fd: int, *, output: bool = False) -> None:
        self.fd, self.output = fd, output
        self._former: list[Any] | None = None

    def __enter__(self) -> Self:
        if os.isatty(self.fd):
            try:
                former = termios.tcgetattr(self.fd)
                termios.tcsetattr(self.fd, termios.TCSADRAIN, raw(former, output=self.output))
            except termios.error:  # EIO: it was closed at this moment, as when ssh is cut
                return self
            self._former = former
        return self

    def __exit__(self, *_: object) -> None:
        if self._former is not None:
            restore(self.fd, self._former)
            self._former = None


def restore(fd: int, attributes: list[Any]) -> None:
    """Set the *attributes* of the terminal *fd*; do nothing if the terminal was closed (EIO); see tcsetattr(3)."""
    try:
        termios.tcsetattr(fd, termios.TCSADRAIN, attributes)
    except termios.error:
        return


def keep_newlines(master: int) -> None:
    """Let the terminal *master* add no carriage return to a newline of the program: ONLCR in termios(3)."""
    attributes = termios.tcgetattr(master)
    attributes[1] &= ~termios.ONLCR
    termios.tcsetattr(master, termios.TCSANOW, attributes)


def raw(attributes: list[Any], *, output: bool = False) -> list[Any]:
    """Return the terminal *attributes* with all processing off, as cfmakeraw(3) defines it; *output*: except output."""
    iflag, oflag, cflag, lflag, *speeds, characters = attributes
    iflag &= ~(
        termios.IGNBRK | termios.BRKINT | termios.PARMRK | termios.ISTRIP | termios.INLCR | termios.IGNCR
        | termios.ICRNL | termios.IXON
    )  # fmt: skip
    oflag &= ~0 if output else ~termios.OPOST
    lflag &= ~(termios.ECHO | termios.ECHONL | termios.ICANON | termios.ISIG | termios.IEXTEN)
    cflag = cflag & ~(termios.CSIZE | termios.PARENB) | termios.CS8
    characters = list(characters)
    characters[termios.VMIN], characters[termios.VTIME] = 1, 0
    return [iflag, oflag, cflag, lflag, *speeds, characters]
