"""Sync pipes: two pipes, gate and report, by which parent and child wait for each other, with a few short messages.

    parent                                child
    ------                                -----
    clone3                         ->     waits at the gate
    links, id maps
    b"go"                          ->     its steps: control groups of version 1, mounts, pivot_root ...
    waits at the report            <-     b"ready"        (or b"error" and the text of an error)
    state: created
    b"start"                       ->     execve
    state: running                 <-     end of file: the report pipe was close-on-exec

Other messages come in between. If config.json has hooks of the runtime's namespaces, the child sends b"mounted" and
waits for b"on". With clock offsets in a user namespace it sends b"clocks" and waits for b"on". If its seccomp filter
leaves system calls to an agent, it sends b"listener", and if it has opened a terminal, b"terminal": then it waits for
b"on", until the parent has a copy of that fd. A child that joins another container's pid namespace sends b"namespaces"
when it has made its own namespaces, and b"born" with the pid of a second child, which goes on in the joined namespace.

The child begins the last message on the report: b"exec", the program's name, and the interpreter that it lacks, or b"".
If execve(2) is refused, the trampoline completes that message with the errno. If it stays incomplete, the program runs.

When one side dies, the other side reads the end of its pipe, so it does not wait for a dead process. While there are
two children, the pipe of one that dies does not end; so the parent waits for the end of that process, too. If another
process than the child's parent sends b"start", as OCI's ``create`` and ``start`` do, both pipes are named pipes in a
directory.
"""

from __future__ import annotations

import errno
import os

from tinybox.errors import NotExecutableError, NotFoundError, StepError, TinyboxError
from tinybox.linux import waiting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

LOOKS = 1.0  # seconds
GO, START, READY, ERROR = b"go", b"start", b"ready", b"error"
MOUNTED, ON = b"mounted", b"on"  # only if the parent has to run hooks in between
CLOCKS = b"clocks"  # only if a new time namespace in a user namespace has offsets: the parent sets them
NAMESPACES, BORN = b"namespaces", b"born"  # only if the child joins another container's pid namespace
EXEC = b"exec"  # a message that stays incomplete unless execve(2) is refused
LISTENER = b"listener"  # only with a seccomp agent: the number of the listener fd in the child
TERMINAL = b"terminal"  # only with a terminal: the number of the master's fd in the child
_SEPARATOR = b"\0"
_LINE_MAX, _NAME_MAX = 8192, 4096
GATE, REPORT = "gate", "report"  # the file names of the named pipes


class SyncPipes:
    """The gate (parent to child) and the report (child to parent), both pipes; see pipe(2), and fifo(7) in a *folder*.

    The child opens a named gate for reading and writing. So it never reads an end of file there, and can wait for a
    process that opens the gate later.
    """

    _heard = b""  # bytes after the last message; one read(2) can return more than one
    meanwhile: Callable[[], object] | None = None  # called each second that receive() waits; its error ends the wait

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
        """Close the parent's copies of the child's ends, so that the report ends when the child ends."""
        self._close("gate", "report")

    def open_gate(self, word: bytes) -> None:
        """Send *word* to the child, which waits for it; do nothing if it is dead: the report shows that."""
        try:
            os.write(self._gate_in, word + b"\n")
        except BrokenPipeError:
            return

    def receive(self, sender: int = -1) -> list[bytes]:
        """Return the fields of the child's next message, [] at the end of the pipe; raise an error that it reports.

        If two processes have the child's end of the report, *sender* is a pidfd of the one that has to send: return []
        also when this one has ended, although the pipe has not.
        """
        while b"\n" not in self._heard:
            if not self._waited(sender):
                return []
            piece = os.read(self._report_out, _LINE_MAX)
            if not piece:
                return []
            self._heard += piece
        line, _, self._heard = self._heard.partition(b"\n")
        fields = line.split(_SEPARATOR)
        if fields[0] == ERROR:
            _raise(*(os.fsdecode(field) for field in fields[1:5]))
        if fields[0] == EXEC and fields[3] == ERROR:  # a step between the announcement and execve(2) has failed
            _raise(*(os.fsdecode(field) for field in fields[4:8]))
        if fields[0] == EXEC:
            raise refusal(os.fsdecode(fields[1]), fields[3][0], os.fsdecode(fields[2]))
        return fields

    def _waited(self, sender: int) -> bool:
        """Wait until the report has a message or its end; False: *sender* has ended, and has left no message."""
        others = [sender] if sender >= 0 else []
        while self.meanwhile and not waiting.readable(self._report_out, LOOKS, *others):
            self.meanwhile()
        if not others:
            return True  # the read(2) waits
        while not waiting.readable(self._report_out, waiting.LONGEST, sender):
            continue
        return waiting.readable(self._report_out, 0)  # an ended process has written all its messages

    def close(self) -> None:
        """Close every end that is still open in this process."""
        self._close("gate", "_gate_in", "_report_out", "report")

    # The child's side

    def wait(self, word: bytes) -> None:
        """Wait for the parent's *word*; exit with 1 if the parent is dead."""
        heard = os.read(self.gate, len(word) + 1)
        if heard != word + b"\n":
            os._exit(1)

    def send(self, *fields: bytes) -> None:
        """Send a message with these *fields* to the parent, in one write; do nothing if the report is closed."""
        if self.report < 0:
            return
        try:
            os.write(self.report, _SEPARATOR.join(fields)[: _LINE_MAX - 1] + b"\n")
        except BrokenPipeError:
            return

    def send_error(self, error: BaseException) -> None:
        """Send an error to the parent as text: exit status, thing, cause, cure."""
        if isinstance(error, TinyboxError):
            status, thing, cause, cure = error.status, error.thing, error.cause, error.cure
        else:
            status, thing, cause, cure = 125, "container process", f"{type(error).__name__}: {error}", ""
        texts = (str(status), thing, cause, cure)
        self.send(ERROR, *(os.fsencode(text.replace("\n", " ")) for text in texts))

    def announce(self, program: str, lacking: str = "") -> None:
        """Begin the message that execve(2) of *program* is refused; see refuse() and linux/machine_code/trampoline.py.

        *lacking* is the interpreter that is the likely reason for that, or "".
        """
        names = (os.fsencode(name)[:_NAME_MAX].replace(b"\n", b" ") for name in (program, lacking))
        try:
            os.write(self.report, _SEPARATOR.join((EXEC, *names, b"")))
        except BrokenPipeError:
            return

    def refuse(self, number: int) -> None:
        """Complete that message with errno *number*, as the trampoline does."""
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
    """The parent's side of named pipes in *folder*, opened by a process that is not the parent of the waiting child.

    An open(2) for writing only, with O_NONBLOCK, succeeds if a process has the pipe open for reading (else ENXIO).
    ProcessLookupError: no child waits at this gate.
    """

    def __init__(self, folder: str) -> None:  # only the child has the child's ends
        self.gate = self.report = -1
        try:
            self._gate_in = os.open(os.path.join(folder, GATE), os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise ProcessLookupError(errno.ESRCH, "no process waits at the gate", folder) from error
        self._report_out = _reading(os.path.join(folder, REPORT))


def _reading(path: str) -> int:
    """Open the named pipe *path* for reading, without waiting for a writer, and return its fd; see fifo(7)."""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    os.set_blocking(fd, True)
    return fd


def refusal(name: str, number: int, lacking: str = "") -> TinyboxError:
    """Return the error for errno *number* of execve(2) of the program *name*, with docker's text and exit status.

    *lacking* is an interpreter that the program needs and that cannot be executed, or "".
    """
    from tinybox.container.process import interpreters  # late: an OCI `start` whose program runs does without them
    from tinybox.linux.machine_code import trampoline

    thing = f'exec "{name}"'
    if number & trampoline.UNCONFINED:
        cause = os.strerror(number & ~trampoline.UNCONFINED)
        return StepError(
            "linux.seccomp", f"the filter is not installed before {thing}: {cause}", "does it allow capset?"
        )
    if number == errno.ENOENT:
        return NotFoundError(thing, "no such file or directory", interpreters.cure(lacking))
    refused = {
        errno.ENOEXEC: ("exec format error", "made for another machine, or no #! line"),
        errno.EACCES: ("permission denied", lacking and f"its interpreter is {lacking}"),
        errno.ELOOP: ("its interpreter is a script, too, and so on", "the kernel follows five"),
    }
    if number in refused:
        return NotExecutableError(thing, *refused[number])
    if number == errno.EAGAIN:
        return TinyboxError(thing, "no more processes are allowed", "PID 1 is one, too: --pids-limit 2, or --init=none")
    return TinyboxError(thing, os.strerror(number))


def _raise(status: str, thing: str, cause: str, cure: str) -> NoReturn:
    kind = {"126": NotExecutableError, "127": NotFoundError}.get(status, StepError)
    error = kind(thing, cause, cure)
    error.status = int(status)
    raise error
