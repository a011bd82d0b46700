"""PID 1: the first process of the box, and what it is for. It reaps, it forwards, it ends as the program ended.

The kernel makes the first process of a pid namespace the parent of every orphan, ignores signals that PID 1 has not
asked for, and kills everything else when PID 1 ends. Hence three duties: wait for every child, also for those of
others; pass signals on to the program; and leave with the program's exit status. Our own Python does it, running on
behind pivot_root(2): whatever it needs is in memory already, for there is no Python in the box to import from.
"""

from __future__ import annotations

import fcntl
import os
import stat

from tinybox import explain
from tinybox.errors import NotExecutableError, NotFoundError
from tinybox.isolation import rootfs
from tinybox.isolation.seccomp import filters
from tinybox.linux import trampoline
from tinybox.linux.signals import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from tinybox.container.process.handles import Handles

FORWARD, REAP, NONE = "forward", "reap", "none"
MODES = (FORWARD, REAP, NONE)
LEAVE = "leave"  # no PID 1 at all, see exec -d: start the program and end, so that the box's own PID 1 adopts it

_TIOCSCTTY, _FIONCLEX = 0x540E, 0x5450
_NOT_CATCHABLE = (signal.SIGKILL, signal.SIGSTOP, 32, 33)  # 32 and 33 belong to libc
SIGNALS = [number for number in range(1, 65) if number not in _NOT_CATCHABLE]


class Program:
    """What execve(2) needs, and how the process is prepared for it."""

    def __init__(self, args: list[str], env: list[str], *, terminal: bool, filter: bytes = b"", flags: int = 0) -> None:  # noqa: A002
        self.args, self.env = args, dict(line.partition("=")[::2] for line in env)
        self.terminal, self.filter, self.filter_flags = terminal, filter, flags
        self.path = ""
        self.trampoline: int | str = -1


def find(program: Program, handles: Handles, alone: bool) -> None:
    """Find the program's file as execvp(3) would, so that ``create`` fails and not ``start`` when there is none.

    And decide how to call the trampoline. It has a name in /proc, if that is the kernel's; where the box is not *alone*
    with its mounts, others may change that, and its fd is used.
    """
    program.trampoline = handles.trampoline
    if alone and handles.trampoline >= 0 and rootfs.has_proc():
        program.trampoline = f"/proc/self/fd/{handles.trampoline}"
    program.path = _found(program)


def _found(program: Program) -> str:
    name = program.args[0]
    if not name:
        raise NotFoundError('exec ""', "executable file not found in $PATH")
    if "/" in name:
        return _runnable(name, name)
    refused: NotExecutableError | None = None
    for folder in program.env.get("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin").split(":"):
        try:
            return _runnable(os.path.join(folder or ".", name), name)
        except NotFoundError:
            continue
        except NotExecutableError as error:
            refused = refused or error
    raise refused or NotFoundError(f'exec "{name}"', "executable file not found in $PATH")


def _runnable(path: str, name: str) -> str:
    try:
        info = os.stat(path)
    except PermissionError as error:
        raise NotExecutableError(f'exec "{name}"', "permission denied") from error
    except OSError as error:
        raise NotFoundError(f'exec "{name}"', (error.strerror or "").lower()) from error
    if stat.S_ISDIR(info.st_mode):
        raise NotExecutableError(f'exec "{name}"', "is a directory: permission denied")
    if not os.access(path, os.X_OK, effective_ids=True):
        raise NotExecutableError(f'exec "{name}"', "permission denied", "chmod +x in the image")
    return path


def run(mode: str, program: Program, handles: Handles) -> NoReturn:
    """Be PID 1 in this *mode*: "forward", "reap" (which forwards nothing), or "none": be the program itself.

    In mode "leave", start the program and end: it becomes the child of the box's own PID 1.
    """
    if program.filter:
        filters.install(program.filter, program.filter_flags)
    handles.sync.announce(program.args[0])
    if handles.trampoline >= 0:
        fcntl.ioctl(
            handles.sync.report, _FIONCLEX
        )  # no close-on-exec: the trampoline takes it, and does not hand it on
    if mode == NONE:
        execute(program, handles)
    pid = start(program, handles)
    if mode == LEAVE:
        os._exit(0)
    for fd in (handles.sync.report, handles.trampoline, *explain.kept):  # their end tells that the program runs
        if fd >= 0:
            os.close(fd)
    supervise(pid, forward=mode == FORWARD)


def execute(program: Program, handles: Handles) -> NoReturn:
    """Become the program: own session, its terminal, default signals, and execve(2) by the trampoline.

    The session was begun before, unless this process has been made since. Without a trampoline execve(2) is called
    here: see `planned_program` for when that is.
    """
    if os.getsid(0) != os.getpid():
        os.setsid()
    if program.terminal:
        fcntl.ioctl(0, _TIOCSCTTY, 0)
    have_default_signals()
    try:
        if handles.trampoline < 0:
            os.execve(program.path, program.args, program.env)
        trampoline.execute(program.trampoline, program.path, program.args, program.env)
    except OSError as error:
        handles.sync.refuse(error.errno or 0)
    os._exit(trampoline.FAILED)


def start(program: Program, handles: Handles) -> int:
    """Start the program as our child, prepared like `execute` does, and return its pid; see posix_spawn(3).

    The C library does it in one call that shares our memory until execve(2): half the time of fork(2), which would
    first copy the page tables of the whole interpreter. But it executes names alone: without one for the trampoline it
    is fork(2). A session leader's first terminal becomes its own: see tty(4).
    """
    if not isinstance(program.trampoline, str):
        pid = os.fork()
        if pid == 0:
            execute(program, handles)
        return pid
    terminal = [(os.POSIX_SPAWN_OPEN, 0, handles.terminal, os.O_RDWR, 0)] if handles.terminal else []
    try:
        return os.posix_spawn(
            program.trampoline,
            [program.path, *program.args],
            program.env,
            file_actions=terminal,
            setsid=True,
            setsigmask=(),
            setsigdef=ignored(),
        )
    except OSError as error:
        handles.sync.refuse(error.errno or 0)
        os._exit(trampoline.FAILED)


def have_default_signals() -> None:
    """Ignore and block no signal: both would stay so over execve(2), see signal(7)."""
    for number in ignored():
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def ignored() -> list[int]:
    """Return the signals that this process ignores, as Python itself does with SIGPIPE."""
    return [number for number in SIGNALS if signal.getsignal(number) is signal.SIG_IGN]


def supervise(pid: int, *, forward: bool) -> NoReturn:
    """Wait for signals, all of which are blocked, until the program *pid* ends; see sigwaitinfo(2) and waitpid(2)."""
    while True:
        number = signal.sigwaitinfo(SIGNALS).si_signo
        if number == signal.SIGCHLD:
            reap(pid)
        elif forward:
            try:
                os.kill(pid, number)
            except OSError:  # it has just ended (ESRCH), or runs as somebody we may not signal (EPERM)
                continue


def reap(pid: int) -> None:
    """Wait for every child that has ended; with the program's own end, end. One SIGCHLD may stand for many."""
    while True:
        try:
            ended, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if ended == pid:
            code = os.waitstatus_to_exitcode(status)
            os._exit(code if code >= 0 else 128 - code)
        if ended == 0:
            return
