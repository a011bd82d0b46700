"""PID 1 (--init): the first process of the box. It reaps orphans, forwards signals, and exits as the program exits.

The kernel makes the first process of a pid namespace the parent of every orphan, ignores signals for which PID 1 has no
handler, and kills all other processes when PID 1 ends. So it has three tasks: to wait for every child, including
adopted orphans; to forward signals to the program; and to exit with the program's exit status. tinybox's own Python
process starts the program, and then becomes a small program in machine code that does this; see native_init.py. All
that Python needs must be in memory by then, because the box has no Python to import from.
"""

from __future__ import annotations

import fcntl
import os
import stat
import time

from tinybox import explain
from tinybox.container.process import interpreters
from tinybox.errors import NotExecutableError, NotFoundError
from tinybox.isolation import entered_root
from tinybox.linux import capability, process
from tinybox.linux.filesystem import descriptors
from tinybox.linux.machine_code import trampoline
from tinybox.linux.signals import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from tinybox.container.process.handles import Handles
    from tinybox.isolation.confinement import Confinement

FORWARD, REAP, NONE = "forward", "reap", "none"
MODES = (FORWARD, REAP, NONE)
LEAVE = "leave"  # for exec -d, not a PID 1: start the program and exit, so that the box's own PID 1 adopts it

_TIOCSCTTY = 0x540E
_NOT_CATCHABLE = (signal.SIGKILL, signal.SIGSTOP, 32, 33)  # libc uses 32 and 33 itself
SIGNALS = [number for number in range(1, 65) if number not in _NOT_CATCHABLE]


class Program:
    """The program to execute: the arguments and environment for execve(2), its terminal, and its seccomp filter."""

    def __init__(
        self, args: list[str], env: list[str], *, terminal: bool, confinement: Confinement | None = None
    ) -> None:
        self.args, self.env = args, dict(line.partition("=")[::2] for line in env)
        self.terminal, self.confinement = terminal, confinement
        self.path = ""
        self.lacking = ""  # the interpreter that the file needs, if it cannot be executed: execve(2) does not name it
        self.pid, self.gate = 0, -1  # the trampoline, if it waits already, and the pipe by which it goes on
        self.title = 0  # the address of this process's command line: PID 1 gives up all memory below; 0: none
        self.is_shy = False  # whether the gate stays shut until PID 1 is native: a process of the box could trace it


def find(program: Program, handles: Handles, keeps_proc: bool) -> None:
    """Find the program's file as execvp(3) does; here, so that ``create`` fails and not ``start`` if there is none.

    Also decide how to call the trampoline: by its path in /proc, if the kernel's proc is mounted there. Unless the box
    *keeps_proc*, a process of it may cover that mount, so the trampoline's fd is used.
    """
    handles.springboard = handles.trampoline
    if keeps_proc and handles.trampoline >= 0 and entered_root.has_proc():
        handles.springboard = f"/proc/self/fd/{handles.trampoline}"
    program.path = _found(program)
    program.lacking = interpreters.lacking(program.path)


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
    cure = "options go before IMAGE, and before CONTAINER in exec" if name.startswith("-") else ""
    raise refused or NotFoundError(f'exec "{name}"', "executable file not found in $PATH", cure)


def _runnable(path: str, name: str) -> str:
    try:
        info = os.stat(path)
    except PermissionError as error:
        raise NotExecutableError(f'exec "{name}"', "permission denied") from error
    except OSError as error:
        raise NotFoundError(f'exec "{name}"', (error.strerror or "").lower()) from error
    if stat.S_ISDIR(info.st_mode):
        raise NotExecutableError(f'exec "{name}"', "is a directory: permission denied")
    if not descriptors.may_execute(path):
        raise NotExecutableError(f'exec "{name}"', "permission denied", "chmod +x in the image")
    return path


def run(mode: str, program: Program, handles: Handles) -> NoReturn:
    """Become PID 1 in this *mode*: "forward", "reap" (no signal is forwarded), or "none" (become the program itself).

    In mode "leave", start the program and exit: it becomes a child of the box's own PID 1.
    """
    if not program.pid:
        handles.sync.announce(program.args[0], program.lacking)
    if mode == NONE:
        execute(program, handles)
    pid = program.pid or start(program, handles)
    if mode == LEAVE:
        os._exit(0)
    if program.pid and explain.listeners:
        explain.report("execve", (program.path, program.args, {}), 0, time.monotonic_ns())
    explain.listeners.clear()
    if not program.is_shy:
        _open_gate(program)
    for fd in (handles.sync.report, handles.trampoline, *explain.kept):
        if fd >= 0:  # the end of file of the report means: the program runs
            os.close(fd)
    _become_native(pid, program, handles)
    _open_gate(program)
    if program.title and not (program.confinement is not None and program.confinement.early):
        from tinybox.linux.machine_code import native_init  # loaded already, by the planner

        native_init.stay(pid, program.title, forward=mode == FORWARD)
    supervise(pid, forward=mode == FORWARD)


def _open_gate(program: Program) -> None:
    """Let the trampoline go on that waits at the gate, if there is one."""
    if program.gate >= 0:
        os.write(program.gate, trampoline.GO_ON)
        os.close(program.gate)
        program.gate = -1


def _become_native(pid: int, program: Program, handles: Handles) -> None:
    """Execute the native init, if there is one, which waits for *pid* from then on; it opens a gate that is left.

    With no_new_privs, execve(2) gives this process no right that it has not had: such a process would not die with its
    parent any more; see PR_SET_PDEATHSIG. If execve(2) is refused, as by a seccomp filter of the user's, return.
    """
    if handles.native < 0:
        return
    from tinybox.linux.machine_code import native_init  # loaded already, by the step that has made it

    file = f"/proc/self/fd/{handles.native}" if isinstance(handles.springboard, str) else handles.native
    try:
        process.set_no_new_privs()
        native_init.execute(file, pid, max(program.gate, 0))
    except OSError:
        os.close(handles.native)


def replace_gate(program: Program, handles: Handles) -> None:
    """Make a pipe whose reading end has the number of the gate: there the trampoline waits; see dup2(2)."""
    reading, program.gate = os.pipe()
    os.dup2(reading, handles.sync.gate, inheritable=handles.trampoline >= 0)
    os.close(reading)


def start_waiting(program: Program, handles: Handles) -> None:
    """Start the trampoline as a child. It waits at the gate until PID 1 has given up its own rights, or ends with it.

    PID 1 may have to keep a capability until then: the trampoline needs it to install the filter.
    """
    handles.sync.announce(program.args[0], program.lacking)
    explain.held = True
    program.pid = start(program, handles)
    os.close(handles.sync.gate)
    if program.is_shy:
        fcntl.fcntl(program.gate, fcntl.F_SETFD, 0)  # the native init gets it


def confine(limit: Confinement | None) -> None:
    """Do in this process what the trampoline does for the program, if no step has done so: install the filter."""
    if limit is not None and limit.comes_late():
        limit.install()


def execute(program: Program, handles: Handles) -> NoReturn:
    """Become the program: its own session, its terminal, default signals, and execve(2) by the trampoline.

    This process has a session of its own already, unless it was forked since then. Without a trampoline, execve(2) is
    called directly: planning/program.py says when that is so.
    """
    if os.getsid(0) != os.getpid():
        os.setsid()
    if program.terminal:
        fcntl.ioctl(0, _TIOCSCTTY, 0)
    have_default_signals()
    try:
        jump(program.confinement, handles, program.path, program.args, program.env)
    except OSError as error:
        handles.sync.refuse(error.errno or 0)
    os._exit(trampoline.FAILED)


def jump(limit: Confinement | None, handles: Handles, path: str, args: list[str], env: dict[str, str]) -> NoReturn:
    """Execute *path* by the trampoline, if there is one; OSError: it cannot be.

    Either this function or the trampoline carries out the confinement *limit* before. The trampoline may be read only
    by capabilities. Without them, it is not dumpable: so no process of the box can trace it before it has its filter.
    execve(2) computes its effective set from the others; see PR_SET_DUMPABLE.
    """
    if handles.springboard == -1:
        confine(limit)
        os.execve(path, args, env)
    if limit is not None and limit.comes_late():
        _, permitted, inheritable = capability.capget()
        capability.capset(0, permitted, inheritable)
    trampoline.execute(handles.springboard, path, args, env)


def start(program: Program, handles: Handles) -> int:
    """Start the program as a child of this process, prepared as by execute(), and return its pid; see posix_spawn(3).

    posix_spawn(3) shares this process's memory until execve(2). It needs half the time of fork(2), which first copies
    the page tables of the whole interpreter. But it can only execute a path; if the trampoline has none, fork(2) is
    used. The first terminal that a session leader opens becomes its controlling terminal: see tty(4).
    """
    filtered = program.confinement is not None and program.confinement.early
    if filtered or not isinstance(handles.springboard, str):
        pid = os.fork()  # a filter may refuse clone3(2) and vfork(2), which posix_spawn(3) uses
        if pid == 0:
            execute(program, handles)
        return pid
    terminal = [(os.POSIX_SPAWN_OPEN, 0, handles.terminal, os.O_RDWR, 0)] if handles.terminal else []
    try:
        return os.posix_spawn(
            handles.springboard,
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
    """Set ignored signals to their default, and unblock all signals: execve(2) would keep both, see signal(7)."""
    for number in ignored():
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def ignored() -> list[int]:
    """Return the signals that this process ignores, as Python itself does with SIGPIPE."""
    return [number for number in SIGNALS if signal.getsignal(number) is signal.SIG_IGN]


def supervise(pid: int, *, forward: bool) -> NoReturn:
    """Wait for signals, which are all blocked, until the program *pid* ends; see sigwaitinfo(2) and waitpid(2)."""
    while True:
        number = signal.sigwaitinfo(SIGNALS).si_signo
        if number == signal.SIGCHLD:
            reap(pid)
        elif forward:
            try:
                os.kill(pid, number)
            except OSError:  # the program has just ended (ESRCH), or runs as a user that we may not signal (EPERM)
                continue


def reap(pid: int) -> None:
    """Wait for every child that has ended, as one SIGCHLD may stand for many; exit with the program's exit status."""
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
