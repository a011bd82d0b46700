"""The program criu, which reads a process tree out of the kernel and makes it again; one criu process for one request.

``criu swrk FD`` serves one connection, the socket FD: it gets a request, sends notices on the way, waits for an answer
to each of them, and sends its own answer at the end; see criu(8), and rpc.proto in criu's source. It writes its log
into the work directory of the request. Only checkpoints load this file: `run` pays nothing for it.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess

from tinybox.container.checkpoints import messages
from tinybox.errors import HostError
from tinybox.linux import user_namespaces

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from tinybox.container.checkpoints.messages import Value

LEAST = (3, 16)  # the first release of criu with all that is used here
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"  # criu itself runs tar, ip and iptables
DUMP_LOG, RESTORE_LOG = "dump.log", "restore.log"
_DETAILS = 4  # the log level at which criu writes all that its own developers ask for
_ERROR = re.compile(r"^(?:\([\d.]+\) )?\s*(?:\d+: )?Error \(([^)]*)\): (.*)$", re.MULTILINE)
_GENERAL = re.compile(r"(Pre-d|D)umping FAILED|Restoring FAILED|.* failed with -1 ")  # these say nothing of the cause
_MESSAGE_MAX, _LOG_MAX = 1 << 16, 1 << 22
_SHOWN = 2  # errors of the log; the first one is the cause, and those after it follow from it


class Criu:
    """A criu process, or the connection to one that is yet to be started; *work* is the directory of its log."""

    def __init__(self, program: str, work: str = "", log: str = "") -> None:
        self.program, self.work, self.log = program, work, log
        self.line, self.end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.words = os.memfd_create("criu", os.MFD_CLOEXEC)  # what criu writes to stderr before it has a log
        self.pidfd = -1
        self.received: dict[str, int] = {}  # file descriptors that came with notices, by the notice's name

    def spawn(self) -> None:
        """Start criu as a process that goes on if this one is killed: half a dump would kill the container."""
        os.set_inheritable(self.end.fileno(), True)
        streams = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in (0, 1)]
        pid = os.posix_spawn(
            self.program, self._arguments(), {"PATH": PATH}, setsid=True, setsigmask=(),
            file_actions=[*streams, (os.POSIX_SPAWN_DUP2, self.words, 2)],
        )  # fmt: skip
        self.pidfd = os.pidfd_open(pid)
        self.end.close()

    def become(self) -> NoReturn:
        """Execute criu in place of this process, a child of tinybox, with the socket; see execve(2)."""
        os.set_inheritable(self.end.fileno(), True)
        null = os.open(os.devnull, os.O_RDWR)
        for number, fd in enumerate((null, null, self.words)):
            os.dup2(fd, number)
        os.execve(self.program, self._arguments(), {"PATH": PATH})

    def _arguments(self) -> list[str]:
        return [self.program, "swrk", str(self.end.fileno())]

    def kept(self) -> list[int]:
        """Return the descriptors that a child needs until `become`."""
        return [self.end.fileno(), self.words]

    def ask(self, kind: int, options: dict[str, Value | list[bytes]] | None = None) -> None:
        """Send a request; its log has the name and the level that all requests have here."""
        logged: dict[str, Value | list[bytes]] = {"log_level": _DETAILS, "log_file": self.log}
        self._send(messages.request(kind, None if options is None else logged | options))

    def agree(self) -> None:
        """Answer a notice: criu goes on."""
        self._send(messages.agreement())

    def _send(self, message: bytes) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # `hear` says why
            self.line.send(message)

    def hear(self, stop: str = "") -> tuple[str, dict[int, int | bytes]]:
        """Agree to criu's notices until the one called *stop*, or criu's answer; return the notice's name, and fields.

        The name of an answer is empty. HostError, with the errors of criu's log: criu has failed or ended.
        """
        while True:
            try:
                message, fds, _, _ = socket.recv_fds(self.line, _MESSAGE_MAX, 1, socket.MSG_CMSG_CLOEXEC)
            except ConnectionResetError:  # it has ended without reading all that was sent
                message, fds = b"", []
            fields = messages.decode(message) if message else {}
            if not fields.get(messages.SUCCESS):
                reason = fields.get(messages.REASON, b"")
                raise self.failure(reason.decode(errors="replace") if isinstance(reason, bytes) else "")
            notice = fields.get(messages.NOTICE)
            if not isinstance(notice, bytes):
                return "", fields
            inner = messages.decode(notice)
            script = inner.get(messages.SCRIPT, b"")
            name = script.decode(errors="replace") if isinstance(script, bytes) else ""
            self.received.update((name, fd) for fd in fds)
            if name == stop:
                return stop, inner
            self.agree()

    def failure(self, reason: str = "") -> HostError:
        """Return the error with which criu has failed: the first errors of its log, in one line."""
        logged = errors_in(self._read_log())
        said = logged or errors_in(os.pread(self.words, _LOG_MAX, 0).decode(errors="replace"))
        cause = "; ".join(said[:_SHOWN]) or printable(reason) or "it ended without an answer"
        cure = f"its log is {self.work}/{self.log}" if logged else "criu check says what this kernel lacks"
        return HostError("criu", cause, cure)

    def _read_log(self) -> str:
        try:
            with open(os.path.join(self.work, self.log), encoding="utf-8", errors="replace") as file:
                return file.read(_LOG_MAX)
        except OSError:
            return ""

    def reap(self) -> None:
        """Close the connection, upon which criu ends, and wait for its end."""
        self.line.close()
        self.end.close()
        for fd in self.received.values():
            os.close(fd)
        self.received.clear()
        if self.words >= 0:
            os.close(self.words)
            self.words = -1
        if self.pidfd >= 0:
            with contextlib.suppress(ChildProcessError):
                os.waitid(os.P_PIDFD, self.pidfd, os.WEXITED)
            os.close(self.pidfd)
            self.pidfd = -1

    def kill(self) -> None:
        """Kill criu, if it has not ended, and reap it."""
        if self.pidfd >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)
        self.reap()


def errors_in(log: str) -> list[str]:
    """Return the errors in a *log* of criu, each as one printable text, without general ones."""
    found = (f"{printable(text)} [{printable(where)}]" for where, text in _ERROR.findall(log))
    return [each for each in dict.fromkeys(found) if not _GENERAL.match(each)]


def printable(text: str) -> str:
    """Return *text*, in which a container may have chosen names, without control characters and line ends."""
    return "".join(letter if letter.isprintable() else "?" for letter in text.strip())


def find() -> str:
    """Return the path of the host's criu; HostError: it is missing or too old, or this user is not the host's root."""
    if user_namespaces.is_rootless():
        raise HostError("criu", "it needs root of the host, and this user has only a user namespace", "use sudo")
    for folder in (os.environ.get("PATH") or PATH).split(":"):
        program = os.path.join(folder, "criu")
        if os.path.isabs(program) and os.path.isfile(program) and os.access(program, os.X_OK):
            _check(program)
            return program
    raise HostError("criu", "it is not installed, and checkpoints need it", "apt-get install criu")


def _check(program: str) -> None:
    """Raise HostError if this criu is older than LEAST."""
    criu = Criu(program)
    try:
        criu.spawn()
        criu.ask(messages.VERSION)
        inner = criu.hear()[1].get(messages.RELEASE, b"")
    except OSError as error:
        raise HostError("criu", f"{program} cannot be started: {error.strerror}", "apt-get install criu") from error
    finally:
        criu.kill()
    fields = messages.decode(inner) if isinstance(inner, bytes) else {}
    major, minor = (int(fields.get(number, 0)) for number in (messages.MAJOR, messages.MINOR))
    if (major, minor) < LEAST:
        raise HostError("criu", f"version {major}.{minor} is too old", f"criu {LEAST[0]}.{LEAST[1]} or newer")


def trouble() -> str:
    """Return why criu cannot work here, or "": it is missing or too old, needs root, or refuses this kernel."""
    try:
        program = find()
    except HostError as error:
        return str(error)
    done = subprocess.run([program, "check"], capture_output=True, text=True, errors="replace", check=False)
    said = errors_in(done.stderr) or [f"`criu check` ends with {done.returncode}"]
    return f"criu: {said[0]}" if done.returncode else ""
