"""PID 1: the first process of the box, and what it is for. It reaps, it forwards, it ends as the program ended.

The kernel makes the first process of a pid namespace the parent of every orphan, ignores signals that PID 1 has not
asked for, and kills everything else when PID 1 ends. Hence three duties: wait for every child, also for those of
others; pass signals on to the program; and leave with the program's exit status. Our own Python does it, running on
behind pivot_root(2): whatever it needs is in memory already, for there is no Python in the box to import from.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import stat

from tinybox import explain
from tinybox.errors import NotExecutableError, NotFoundError, TinyboxError
from tinybox.isolation import seccomp
from tinybox.linux import process
from tinybox.linux.signals import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from tinybox.container.live import Live

FORWARD, REAP, NONE = "forward", "reap", "none"
MODES = (FORWARD, REAP, NONE)
LEAVE = "leave"  # no PID 1 at all, see exec -d: start the program and end, so that the box's own PID 1 adopts it

_TIOCSCTTY = 0x540E
_NOT_CATCHABLE = (signal.SIGKILL, signal.SIGSTOP, 32, 33)  # 32 and 33 belong to libc
SIGNALS = [number for number in range(1, 65) if number not in _NOT_CATCHABLE]


class Program:
    """What execve(2) needs, and how the process is prepared for it."""

    def __init__(self, args: list[str], env: list[str], *, terminal: bool, filter: bytes = b"", flags: int = 0) -> None:  # noqa: A002
        self.args, self.env = args, dict(line.partition("=")[::2] for line in env)
        self.terminal, self.filter, self.filter_flags = terminal, filter, flags
        self.path = ""


def find(program: Program) -> None:
    """Find the program's file as execvp(3) would, so that ``create`` fails and not ``start`` when there is none."""
    name = program.args[0]
    if not name:
        raise NotFoundError('exec ""', "executable file not found in $PATH")
    if "/" in name:
        program.path = _runnable(name, name)
        return
    refused: NotExecutableError | None = None
    for folder in program.env.get("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin").split(":"):
        try:
            program.path = _runnable(os.path.join(folder or ".", name), name)
        except NotFoundError:
            continue
        except NotExecutableError as error:
            refused = refused or error
        else:
            return
    raise refused or NotFoundError(f'exec "{name}"', "executable file not found in $PATH")


def _runnable(path: str, name: str) -> str:
    try:
        info = os.stat(path)
    except PermissionError as error:
        raise NotExecutableError(f'exec "{name}"', "permission denied") from error
    except OSError as error:
        raise NotFoundError(f'exec "{name}"', "no such file or directory") from error
    if stat.S_ISDIR(info.st_mode):
        raise NotExecutableError(f'exec "{name}"', "is a directory: permission denied")
    if not os.access(path, os.X_OK, effective_ids=True):
        raise NotExecutableError(f'exec "{name}"', "permission denied", "chmod +x in the image")
    return path


def take_name(name: bytes, area: tuple[int, int, int]) -> None:
    """Show *name* in ps(1) instead of the host's command line, whose words (and secrets) are not the box's business.

    *area* is where the kernel keeps this process's arguments and, behind them, its environment: arg_start, arg_end and
    env_end of proc_pid_stat(5). Where the last byte of the arguments is not zero, the kernel takes the whole for one
    title that ends at the first zero (Linux 5.3). The environment is emptied: CAP_SYS_PTRACE would let the box read it.
    """
    process.set_name(name)
    start, end, environment_end = area
    if end - start > len(name) + 1:
        ctypes.memset(start, 0, environment_end - start)
        ctypes.memmove(start, name, len(name))
        ctypes.memset(end - 1, 1, 1)


def run(mode: str, program: Program, live: Live) -> NoReturn:
    """Be PID 1 in this *mode*: "forward", "reap" (which forwards nothing), or "none": be the program itself.

    In mode "leave", start the program and end: it becomes the child of the box's own PID 1.
    """
    if program.filter:
        seccomp.install(program.filter, program.filter_flags)
    if mode == NONE:
        execute(program)
    pid = start(program, live.terminal)
    if mode == LEAVE:
        os._exit(0)
    for fd in (live.handshake.report, *explain.kept):  # their end tells that the program runs
        os.close(fd)
    supervise(pid, forward=mode == FORWARD)


def execute(program: Program) -> NoReturn:
    """Become the program: own session, its terminal, default signals, and execve(2)."""
    os.setsid()
    if program.terminal:
        fcntl.ioctl(0, _TIOCSCTTY, 0)
    for number in ignored():  # what is ignored would stay so over execve(2)
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    try:
        os.execve(program.path, program.args, program.env)
    except OSError as error:
        raise refusal(program.args[0], error) from error


def start(program: Program, tty: str) -> int:
    """Start the program as our child, prepared like `execute` does, and return its pid; see posix_spawn(3).

    The C library does it in one call that shares our memory until execve(2): half the time of fork(2), which would
    first copy the page tables of the whole interpreter. A session leader's first terminal becomes its own: see tty(4).
    """
    terminal = [(os.POSIX_SPAWN_OPEN, 0, tty, os.O_RDWR, 0)] if tty else []
    try:
        return os.posix_spawn(
            program.path,
            program.args,
            program.env,
            file_actions=terminal,
            setsid=True,
            setsigmask=(),
            setsigdef=ignored(),
        )
    except OSError as error:
        raise refusal(program.args[0], error) from error


def ignored() -> list[int]:
    """Return the signals that this process ignores, as Python itself does with SIGPIPE."""
    return [number for number in SIGNALS if signal.getsignal(number) is signal.SIG_IGN]


def refusal(name: str, error: OSError) -> TinyboxError:
    """Return what execve(2) meant by *error*, in docker's words and with its status."""
    thing = f'exec "{name}"'
    if error.errno == errno.ENOENT:
        return NotFoundError(thing, "no such file or directory", "its interpreter is missing")
    if error.errno == errno.ENOEXEC:
        return NotExecutableError(thing, "exec format error", "made for another machine, or no #! line")
    if error.errno == errno.EACCES:
        return NotExecutableError(thing, "permission denied")
    if error.errno == errno.EAGAIN:
        return TinyboxError(thing, "no more processes are allowed", "PID 1 is one, too: --pids-limit 2, or --init none")
    return TinyboxError(thing, error.strerror or str(error))


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
