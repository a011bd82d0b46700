"""Detach keys (Ctrl-P Ctrl-Q): the user leaves a program that runs on their terminal, and it goes on.

The user's shell waits for the process that it has started. So with detach keys another process owns the program from
the beginning: `in_owner` forks it, waits for it, and ends early if it says that the user has left. Only then the owner
becomes a background process. If the waiting process is killed before, the kernel kills the owner (PR_SET_PDEATHSIG),
and with it the program. See docker-run(1).
"""

from __future__ import annotations

import os
import select
import sys

from tinybox.container.process import wait_loop
from tinybox.errors import AttachError
from tinybox.linux import own_memory, process, user_namespaces
from tinybox.linux.signals import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

DETACH = "ctrl-p,ctrl-q"
_LEFT = b"l"


class DetachKeys:
    """Finds the keys *text* (DETACH, if it is empty) in what is typed."""

    def __init__(self, text: str = "") -> None:
        self.keys = key_bytes(text or DETACH)
        self.held = b""  # typed bytes that may be the beginning of the keys; not yet passed on

    def take(self, typed: bytes) -> tuple[bytes, bool]:
        """Return the bytes to pass on, and whether the keys are complete; empty *typed* is the end of the input."""
        self.held += typed
        at = self.held.find(self.keys)
        if at >= 0:
            return self.held[:at], True
        keep = (
            next((n for n in range(len(self.keys) - 1, 0, -1) if self.held.endswith(self.keys[:n])), 0) if typed else 0
        )
        passed, self.held = self.held[: len(self.held) - keep], self.held[len(self.held) - keep :]
        return passed, False


class Departure(DetachKeys):
    """The owner's side: its detach keys, and how it becomes a background process when they are typed."""

    def __init__(self, text: str, waiting: int, title: bytes) -> None:
        super().__init__(text)
        self._waiting = waiting  # a pipe to the process that waits for this one
        self._title = title
        self.told: Callable[[], object] = lambda: None  # is called when the user has left
        self.area = (0, 0, 0)  # that of own_memory.set_title(), when the host's facts are known

    def go(self) -> None:
        """Become a background process, and let the waiting process end; the terminal is restored; see daemon(7)."""
        process.set_parent_death_signal(0)
        os.setsid()
        sys.stdout.flush()
        null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        for fd in range(3):
            os.dup2(null, fd)
        os.close(null)
        os.chdir("/")
        own_memory.set_title(self._title, self.area)
        try:
            os.write(self._waiting, _LEFT)
        finally:
            os.close(self._waiting)
            self.told()


def in_owner(act: Callable[[Departure], int], keys: str, title: bytes) -> int:
    """Call *act* in a child, and return its exit status in both processes; 0 as soon as the user has left by *keys*.

    The child's name is then *title*.
    """
    key_bytes(keys or DETACH)
    sys.stdout.flush()
    sys.stderr.flush()
    reading, writing = os.pipe()
    waiting, owner = os.getpid(), os.fork()
    if owner == 0:
        os.close(reading)
        process.set_parent_death_signal(signal.SIGKILL)
        if os.getppid() != waiting:
            os._exit(1)
        user_namespaces.hold_home()
        return act(Departure(keys, writing, title))
    os.close(writing)
    return _wait_for(owner, reading)


def _wait_for(owner: int, reading: int) -> int:
    """Forward signals to the process *owner*, and return its exit status, or 0 as soon as *reading* says "left"."""
    pidfd, poll = os.pidfd_open(owner), select.poll()
    with wait_loop.Signals() as signals:
        for fd in (reading, signals.fd, pidfd):
            poll.register(fd, select.POLLIN)
        while True:
            ready = [fd for fd, _ in poll.poll()]
            if signals.fd in ready:
                for number in signals.pending():
                    if number not in wait_loop.NOT_FORWARDED:
                        signal.pidfd_send_signal(pidfd, number)
            if reading in ready:
                if os.read(reading, 1):
                    return 0
                poll.unregister(reading)
            elif pidfd in ready:
                status = os.waitstatus_to_exitcode(os.waitpid(owner, 0)[1])
                return status if status >= 0 else 128 - status


def key_bytes(text: str) -> bytes:
    """Return the bytes that keys such as ``ctrl-p,ctrl-q`` or ``a`` send; raise AttachError for any other text."""
    keys = b""
    for word in text.split(","):
        letter = word.removeprefix("ctrl-")
        if word == "DEL":
            keys += b"\x7f"
            continue
        if len(letter) != 1 or (word != letter and not 0x40 <= ord(letter.upper()) < 0x60):
            raise AttachError(f"--detach-keys {text}", f"{word} is not a key", "write a letter, or ctrl- and a letter")
        keys += bytes([ord(letter.upper()) - 0x40]) if word != letter else letter.encode()
    return keys
