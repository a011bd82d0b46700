"""How parent and child wait for one another: two pipes, four words.

    parent                                child
    ------                                -----
    clone3                         ->     waits at the gate
    control groups, id maps
    b"go"                          ->     its steps: mounts, pivot_root, capabilities ...
    waits at the report            <-     b"ready"        (or b"error", in words)
    state: created
    b"start"                       ->     execve
    state: running                 <-     end of file: the report pipe was close-on-exec

A pipe whose other side has died is at its end: so neither waits for a dead one.
"""

from __future__ import annotations

import os

from tinybox.errors import NotExecutableError, NotFoundError, StepError, TinyboxError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

GO, START, READY, ERROR = b"go", b"start", b"ready", b"error"
_SEPARATOR = b"\0"
_LINE_MAX = 8192


class Handshake:
    """The gate (parent to child) and the report (child to parent), both pipes; see pipe(2)."""

    def __init__(self) -> None:
        self.gate, self._gate_in = os.pipe()
        self._report_out, self.report = os.pipe()

    # The parent's side

    def keep_parent_side(self) -> None:
        """Close the child's ends, so that the end of the child is the end of the report."""
        self._close("gate", "report")

    def open_gate(self, word: bytes) -> None:
        """Let the child go on to its next part; a dead child is noticed at the report."""
        try:
            os.write(self._gate_in, word + b"\n")
        except BrokenPipeError:
            return

    def hear(self) -> list[bytes]:
        """Return the child's next words; none at the end of the pipe. An error it reports is raised here."""
        line = b""
        while not line.endswith(b"\n"):
            piece = os.read(self._report_out, _LINE_MAX)
            if not piece:
                break
            line += piece
        if not line:
            return []
        words = line.rstrip(b"\n").split(_SEPARATOR)
        if words[0] == ERROR:
            _raise(*(os.fsdecode(word) for word in words[1:5]))
        return words

    def close(self) -> None:
        """Close whatever is still open, on either side."""
        self._close("gate", "_gate_in", "_report_out", "report")

    # The child's side

    def wait(self, word: bytes) -> None:
        """Wait for the parent's *word*; if the parent is gone, so are we."""
        heard = os.read(self.gate, len(word) + 1)
        if heard != word + b"\n":
            os._exit(1)

    def tell(self, *words: bytes) -> None:
        """Report *words* to the parent, in one write; who has hung up before has nothing more to say."""
        if self.report < 0:
            return
        try:
            os.write(self.report, _SEPARATOR.join(words)[: _LINE_MAX - 1] + b"\n")
        except BrokenPipeError:
            return

    def tell_error(self, error: BaseException) -> None:
        """Report an error in words: exit status, thing, cause, cure."""
        if isinstance(error, TinyboxError):
            status, thing, cause, cure = error.status, error.thing, error.cause, error.cure
        else:
            status, thing, cause, cure = 125, "container process", f"{type(error).__name__}: {error}", ""
        words = (str(status), thing, cause, cure)
        self.tell(ERROR, *(os.fsencode(word.replace("\n", " ")) for word in words))

    def _close(self, *names: str) -> None:
        for name in names:
            fd = getattr(self, name)
            if fd >= 0:
                os.close(fd)
                setattr(self, name, -1)


def _raise(status: str, thing: str, cause: str, cure: str) -> NoReturn:
    kind = {"126": NotExecutableError, "127": NotFoundError}.get(status, StepError)
    raise kind(thing, cause, cure)
