"""A terminal for the program (-t): the child opens a pty in the box's own devpts; the parent gets the master end."""

from __future__ import annotations

import errno
import os

from tinybox.isolation import mounts, terminal
from tinybox.linux import mount

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinybox.container.process.handles import Handles
    from tinybox.container.records.spec_types import Process

PTY_GROUP = 5  # the group "tty", which has this number in all distributions


def first_size(process: Process, handles: Handles) -> tuple[int, int]:
    """Return the (rows, columns) that the terminal has before the program's first instruction; zeros: no size is known.

    A terminal that is relayed to this process's own has its size, as with runc; else config.json says the size.
    """
    window = terminal.window() if handles.watched else handles.window
    size = process.get("consoleSize", {})
    return window if any(window) else (size.get("height", 0), size.get("width", 0))


def open_terminal(handles: Handles, root: bytes, owner: int, size: tuple[int, int]) -> None:
    """Open a terminal in the devpts below *root*, and make it file descriptors 0, 1 and 2; see pts(4).

    *owner* is a user id; *size* is (rows, columns), or zeros.
    """
    _connect_streams(handles, _opened(root, owner, size))


def open_console(handles: Handles, root: bytes, owner: int, size: tuple[int, int]) -> None:
    """Do the same as open_terminal(), and also mount the terminal on /dev/console of a new box; see pts(4)."""
    pty = _opened(root, owner, size)
    mounts.place(mount.open_tree(pty.slave, b"", 0), root, b"/dev/console")
    _connect_streams(handles, pty)


def _opened(root: bytes, owner: int, size: tuple[int, int]) -> terminal.Pty:
    pty = terminal.Pty(root)
    terminal.set_size(pty.master, *size)
    try:
        os.fchown(pty.slave, owner, PTY_GROUP)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        os.fchown(pty.slave, owner, -1)  # the user namespace does not map the group tty
    return pty


def _connect_streams(handles: Handles, pty: terminal.Pty) -> None:
    for number in range(3):
        os.dup2(pty.slave, number)
    os.close(pty.slave)
    handles.master, handles.terminal = pty.master, pty.name
