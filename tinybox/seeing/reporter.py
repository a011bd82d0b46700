"""The listener inside the engine: it sends each step and system call, as raw data, to the observer process.

Parent and child each have a lane, a SOCK_SEQPACKET socket that keeps messages whole. Before and after each step, the
process that does it waits for an answer. So the observer can read the state while nothing changes, and can stop or
refuse a step. This file imports, prints and formats nothing, because half of it runs between clone3(2) and execve(2).
"""

from __future__ import annotations

import _socket
import marshal
import time

from tinybox import explain
from tinybox.errors import TinyboxError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PARENT, CHILD = "parent", "child"
ASIDE = "aside"  # a short-lived process that helps, such as the process whose user namespace maps ids
LINKS = "links"  # the link maker, which does a part of the step NETWORK
CLONE, NETWORK = "clone", "network"  # the step that makes the child, and that which makes its links
GO, LEAVE = b"go", b"leave"
LONGEST = 4096  # bytes of one argument; a seccomp filter is longer, but it is not shown as bytes
_WAITING = ("begin", "step", "failed")


class LeftError(TinyboxError):
    """The user left the run at a stop: all steps are undone; the exit status is that of Ctrl-C."""

    status = 130


class Reporter:
    """The engine's ends of the two lanes, and the lane of the current process."""

    def __init__(self) -> None:
        kind = _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC
        self._ours, self._theirs = {}, {}
        for lane in (PARENT, CHILD):
            self._ours[lane], self._theirs[lane] = _socket.socketpair(_socket.AF_UNIX, kind)
        self.lane = PARENT
        self.who = PARENT
        self.step = ""

    def observer_side(self) -> dict[str, _socket.socket]:
        """Close the engine's ends, and return those of the observer; called in the observer process."""
        for end in self._ours.values():
            end.close()
        return self._theirs

    def start(self) -> None:
        """Begin to send all that the engine reports."""
        for end in self._theirs.values():
            end.close()
        explain.kept.append(self._ours[CHILD].fileno())
        explain.listeners.append(self.forward)

    def forward(self, name: str, arguments: tuple[object, ...], result: object, begun: int) -> None:
        """Send one event; for a step, wait for the answer. LeftError: the step is refused."""
        ended = time.monotonic_ns()
        if name in ("clone3", "fork") and result == 0:  # the result in the new process: this is its first report
            self._begin_as(CHILD if name == "clone3" and self.step == CLONE else ASIDE)
            return
        kind, _, step = name.partition(":")
        self.step = step if kind == "begin" else self.step
        self._pass(name, () if kind in _WAITING else arguments, result, begun, ended)
        if kind in _WAITING and self._answer() == LEAVE and kind == "begin":
            raise LeftError("left", f"before the step {step}", "everything is undone")

        if name == f"step:{CLONE}" and self.who == PARENT:
            self._ours[CHILD].close()

    def _begin_as(self, who: str) -> None:
        """Note that this is a new process: the child, a helper of the clone step, or another one that sends nothing."""
        self.who = who
        if who == ASIDE and self.step == NETWORK:
            self.who = LINKS
            explain.kept[:] = [self._ours[PARENT].fileno()]
        elif who == ASIDE and self.step != CLONE:
            self.close()
        elif who == CHILD:
            self.lane = CHILD
            self._ours[PARENT].close()

    def send(self, kind: str, /, **content: object) -> None:
        """Send an event that the engine does not report: the beginning of the trace, and its end."""
        self._pass(kind, (content,), None, 0, time.monotonic_ns())

    def close(self) -> None:
        """Stop sending, and close the lanes in this process."""
        explain.listeners.clear()
        explain.kept.clear()
        for end in self._ours.values():
            end.close()

    def _pass(self, name: str, arguments: tuple[object, ...], result: object, begun: int, ended: int) -> None:
        plain = result if isinstance(result, int | str) else None
        message = marshal.dumps((self.who, name, [raw(argument) for argument in arguments], plain, begun, ended))
        try:
            self._ours[self.lane].send(message)
        except OSError:  # the observer has ended: the engine goes on without it
            explain.listeners.clear()

    def _answer(self) -> bytes:
        try:
            return self._ours[self.lane].recv(16)
        except OSError:
            return GO


def raw(argument: Any) -> object:
    """Return *argument* as plain data; for a structure, its type and bytes; see ctypes.byref in the Python manual."""
    plain: object = argument
    if isinstance(argument, bytes | str):
        plain = argument[:LONGEST]
    elif isinstance(argument, int) and not isinstance(argument, bool):
        plain = int(argument)  # marshal takes only plain numbers, not subclasses such as signal.Signals
    elif isinstance(argument, list | tuple):
        plain = [raw(item) for item in argument]
    elif isinstance(argument, dict):
        plain = {str(key): raw(value) for key, value in argument.items()}
    elif argument is not None and not isinstance(argument, bool):
        plain = _structure(getattr(argument, "_obj", argument))
    return plain


def _structure(structure: Any) -> object:
    try:
        return {"structure": type(structure).__name__, "bytes": bytes(structure)[:LONGEST]}
    except TypeError:
        return repr(structure)
