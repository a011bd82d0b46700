"""The listener inside the engine: it passes on what happens, as raw words, to a process that looks and shows.

Parent and child each have a lane of their own, a socket on which a message stays whole. Before and after each step the
one who does it waits for an answer: so the state can be read while nothing moves, and a step can be stopped or refused.
Nothing is imported, printed or formatted here, for half of it runs between clone3(2) and execve(2).
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
ASIDE = "aside"  # a process that helps for a moment, such as the one in whose user namespace ids are mapped
CLONE = "clone"  # the step in which the child is born
GO, LEAVE = b"go", b"leave"
LONGEST = 4096  # bytes of one argument; a seccomp filter is longer, and nobody reads it as bytes
_WAITING = ("begin", "step", "failed")


class LeftError(TinyboxError):
    """Somebody looked, and chose to leave: all is undone; the status is that of Ctrl-C."""

    status = 130


class Teller:
    """What the engine's processes know of their audience: two lanes, and on which of them they are."""

    def __init__(self) -> None:
        kind = _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC
        self._ours, self._theirs = {}, {}
        for lane in (PARENT, CHILD):
            self._ours[lane], self._theirs[lane] = _socket.socketpair(_socket.AF_UNIX, kind)
        self.lane = PARENT
        self.who = PARENT
        self.step = ""

    def audience_side(self) -> dict[str, _socket.socket]:
        """Return the ends for the process that looks; the engine's ends are closed here."""
        for end in self._ours.values():
            end.close()
        return self._theirs

    def listen(self) -> None:
        """From now on, pass on what the engine tells."""
        for end in self._theirs.values():
            end.close()
        explain.kept.append(self._ours[CHILD].fileno())
        explain.listeners.append(self.hear)

    def hear(self, name: str, arguments: tuple[object, ...], result: object, begun: int) -> None:
        """Pass one event on; for a step, wait until it may go on. LeftError: it may not."""
        ended = time.monotonic_ns()
        if name in ("clone3", "fork") and result == 0:  # nobody made this call: it is where a new process begins
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
        """Be another process: the child, a help at its birth, or one that goes its own way and tells nothing."""
        self.who = who
        if who == ASIDE and self.step != CLONE:
            self.close()
        elif who == CHILD:
            self.lane = CHILD
            self._ours[PARENT].close()

    def say(self, kind: str, /, **words: object) -> None:
        """Tell the audience what the engine does not know of: the beginning of the trace, and its end."""
        self._pass(kind, (words,), None, 0, time.monotonic_ns())

    def close(self) -> None:
        """Stop passing on; the audience hears the end of this lane."""
        explain.listeners.clear()
        explain.kept.clear()
        for end in self._ours.values():
            end.close()

    def _pass(self, name: str, arguments: tuple[object, ...], result: object, begun: int, ended: int) -> None:
        plain = result if isinstance(result, int | str) else None
        message = marshal.dumps((self.who, name, [raw(argument) for argument in arguments], plain, begun, ended))
        try:
            self._ours[self.lane].send(message)
        except OSError:  # nobody looks any more: the engine goes on without
            explain.listeners.clear()

    def _answer(self) -> bytes:
        try:
            return self._ours[self.lane].recv(16)
        except OSError:
            return GO


def raw(argument: Any) -> object:
    """Return *argument* as plain data: of a structure its type and its bytes; see ctypes.byref in the Python manual."""
    plain: object = argument
    if isinstance(argument, bytes | str):
        plain = argument[:LONGEST]
    elif isinstance(argument, int) and not isinstance(argument, bool):
        plain = int(argument)  # marshal takes plain numbers only, and a signal is more than that
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
