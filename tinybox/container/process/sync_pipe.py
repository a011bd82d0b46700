"""How parent and child wait for one another: two pipes, four words and sometimes three more.

    parent                                child
    ------                                -----
    clone3                         ->     waits at the gate
    control groups, id maps
    b"go"                          ->     its steps: mounts, pivot_root, capabilities ...
    waits at the report            <-     b"ready"        (or b"error", in words)
    state: created
    b"start"                       ->     execve
    state: running                 <-     end of file: the report pipe was close-on-exec

In between, where a config.json has hooks of the runtime's namespaces, the child says b"mounted" and waits for b"on";
where its filter leaves calls to an agent, it says b"listener". A child that joins the pid namespace of others says
b"namespaces" when it has made its own, and b"born" with the number of the process that goes on for it in there.

The last sentence on the report is begun by us, b"exec" and the program's name, and ended by the trampoline, if
execve(2) is refused, with the errno. A sentence without an end means that the program runs.

A pipe whose other side has died is at its end: so neither waits for a dead one. Where the word to start comes from
another process than the one that made the child, as OCI's ``create`` and ``start`` do it, both pipes have names.
"""

from __future__ import annotations

import errno
import os

from tinybox.errors import NotExecutableError, NotFoundError, StepError, TinyboxError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

GO, START, READY, ERROR = b"go", b"start", b"ready", b"error"
MOUNTED, ON = b"mounted", b"on"  # where hooks of the runtime's are to be run in between
NAMESPACES, BORN = b"namespaces", b"born"  # where the child joins the pid namespace of others
EXEC = b"exec"  # a sentence that only a refusal of execve(2) ends
LISTENER = b"listener"  # where the filter notifies somebody: the number of its fd, on the child's side
_SEPARATOR = b"\0"
_LINE_MAX, _NAME_MAX = 8192, 4096
GATE, REPORT = "gate", "report"  # the names of the pipes, where they have names


class SyncPipes:
    """The gate (parent to child) and the report (child to parent), both pipes; see pipe(2), and fifo(7) in a *folder*.

    A gate with a name is open in the child for reading and writing: it has no end, and waits for whoever comes.
    """

    _heard = b""  # what has come behind the last words, two of which may come at once

    def __init__(self, folder: str = "") -> None:
        if not folder:
            self.gate, self._gate_in = os.pipe()
            self._report_out, self.report = os.pipe()
            return
        gate, report = (os.path.join(folder, name) for name in (GATE, REPORT))
        os.mkfifo(gate, 0o600)
        os.mkfifo(report, 0o600)
        self.gate = os.open(gate, os.O_RDWR | os.O_CLOEXEC)
        self._gate_in = os.open(gate, os.O_WRONLY | os.O_CLOEXEC)
        self._report_out = _reading(report)
        self.report = os.open(report, os.O_WRONLY | os.O_CLOEXEC)

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
        while b"\n" not in self._heard:
            piece = os.read(self._report_out, _LINE_MAX)
            if not piece:
                return []
            self._heard += piece
        line, _, self._heard = self._heard.partition(b"\n")
        words = line.split(_SEPARATOR)
        if words[0] == ERROR:
            _raise(*(os.fsdecode(word) for word in words[1:5]))
        if words[0] == EXEC:
            raise refusal(os.fsdecode(words[1]), words[2][0])
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

    def announce(self, program: str) -> None:
        """Begin the sentence that execve(2) of *program* is refused; see `refuse` and linux/trampoline.py."""
        name = os.fsencode(program)[:_NAME_MAX].replace(b"\n", b" ")
        try:
            os.write(self.report, _SEPARATOR.join((EXEC, name, b"")))
        except BrokenPipeError:
            return

    def refuse(self, number: int) -> None:
        """End the sentence with errno *number*, as the trampoline does."""
        try:
            os.write(self.report, bytes((number, 10)))
        except BrokenPipeError:
            return

    def _close(self, *names: str) -> None:
        for name in names:
            fd = getattr(self, name)
            if fd >= 0:
                os.close(fd)
                setattr(self, name, -1)


class ReopenedSyncPipes(SyncPipes):
    """The parent's side, for a process that did not make the child: it comes to one that waits at the gate in *folder*.

    To open a pipe for writing only, and without waiting, succeeds if somebody reads from it (ENXIO in open(2)): else
    there is a ProcessLookupError.
    """

    def __init__(self, folder: str) -> None:  # the child's side is the child's
        self.gate = self.report = -1
        try:
            self._gate_in = os.open(os.path.join(folder, GATE), os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise ProcessLookupError(errno.ESRCH, "nobody waits at the gate", folder) from error
        self._report_out = _reading(os.path.join(folder, REPORT))


def _reading(path: str) -> int:
    """Open the pipe *path* to read from it, without waiting for somebody who writes; see fifo(7)."""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    os.set_blocking(fd, True)
    return fd


def refusal(name: str, number: int) -> TinyboxError:
    """Return what execve(2) of the program *name* meant by errno *number*, in docker's words and with its status."""
    thing = f'exec "{name}"'
    if number == errno.ENOENT:
        return NotFoundError(thing, "no such file or directory", "its interpreter is missing")
    if number == errno.ENOEXEC:
        return NotExecutableError(thing, "exec format error", "made for another machine, or no #! line")
    if number == errno.EACCES:
        return NotExecutableError(thing, "permission denied")
    if number == errno.EAGAIN:
        return TinyboxError(thing, "no more processes are allowed", "PID 1 is one, too: --pids-limit 2, or --init none")
    return TinyboxError(thing, os.strerror(number))


def _raise(status: str, thing: str, cause: str, cure: str) -> NoReturn:
    kind = {"126": NotExecutableError, "127": NotFoundError}.get(status, StepError)
    error = kind(thing, cause, cure)
    error.status = int(status)
    raise error
