"""Report the system calls that Python's own functions make, such as os.mkdir, while there is a listener.

The engine makes half of a container with functions of Python, and not with those of tinybox.linux, which report calls
themselves. So, while there is a listener, this file replaces the functions of Python by wrappers that do the same and
report the call. Without a listener they are Python's own functions.
"""

from __future__ import annotations

import _socket
import fcntl
import os
import resource
import time

from tinybox import explain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any

# (module, function, system call under which it is reported); the arguments are reported as Python got them.
FUNCTIONS: list[tuple[ModuleType, str, str]] = [
    (os, "open", "openat"),
    (os, "read", "read"),
    (os, "write", "write"),
    (os, "mkdir", "mkdirat"),
    (os, "rmdir", "rmdir"),
    (os, "mknod", "mknodat"),
    (os, "symlink", "symlinkat"),
    (os, "chmod", "fchmodat"),
    (os, "fchmod", "fchmod"),
    (os, "chown", "fchownat"),
    (os, "fchown", "fchown"),
    (os, "chdir", "chdir"),
    (os, "fchdir", "fchdir"),
    (os, "chroot", "chroot"),
    (os, "getcwd", "getcwd"),
    (os, "dup", "fcntl"),
    (os, "dup2", "dup2"),
    (os, "rename", "rename"),
    (os, "access", "access"),
    (os, "pipe", "pipe2"),
    (os, "fork", "fork"),
    (os, "setgroups", "setgroups"),
    (os, "setresgid", "setresgid"),
    (os, "setresuid", "setresuid"),
    (os, "getsid", "getsid"),
    (os, "setsid", "setsid"),
    (os, "umask", "umask"),
    (fcntl, "ioctl", "ioctl"),
    (_socket, "sethostname", "sethostname"),
    (resource, "setrlimit", "prlimit64"),
]

# Old calls and the newer calls that replace them. aarch64 has only the newer ones, and libc uses them; see syscalls(2).
REPLACED = {"access": "faccessat", "dup2": "dup3", "rename": "renameat", "rmdir": "unlinkat"}
MACHINE = os.uname().machine


class Interpreter:
    """Replaces Python's functions while it is entered, in this process and in the children that it forks."""

    def __enter__(self) -> None:
        self._former = [(module, name, getattr(module, name)) for module, name, _ in FUNCTIONS]
        self._former += [(_socket, "socket", _socket.socket)]
        self._former += [(os, name, getattr(os, name)) for name in ("execve", "posix_spawn")]
        for module, name, call in FUNCTIONS:
            setattr(module, name, reporting(call, getattr(module, name)))
        _socket.socket = reporting_socket(_socket.socket)  # type: ignore[misc]
        os.execve = reporting_execve(os.execve)
        os.posix_spawn = reporting_posix_spawn(os.posix_spawn)

    def __exit__(self, *_: object) -> None:
        for module, name, function in self._former:
            setattr(module, name, function)


def reporting(call: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return *function* with a wrapper that reports it as the system call *call*; see syscalls(2)."""

    def call_and_report(*arguments: Any, **named: Any) -> Any:
        if not explain.listeners:
            return function(*arguments, **named)
        begun = time.monotonic_ns()
        try:
            result = function(*arguments, **named)
        except OSError as error:
            explain.report(real_call(call, named), (*arguments, named), -(error.errno or 0), begun)
            raise
        explain.report(real_call(call, named), (*arguments, named), _answer(call, result), begun)
        return result

    return call_and_report


def real_call(call: str, named: dict[str, Any], machine: str = MACHINE) -> str:
    """Return the name of the system call that libc really makes: the newer one on aarch64, and with ``dir_fd``."""
    return REPLACED.get(call, call) if machine == "aarch64" or "dir_fd" in named else call


def _answer(call: str, result: Any) -> object:
    """Return the kernel's result where Python returns another one, such as None for 0 or a text for its length."""
    if call == "setsid":
        return os.getpid()  # the number of the new session, which Python does not return
    if call == "pipe2":
        return 0  # Python returns the two fds
    if call == "access":
        return 0 if result else -13
    if call == "getcwd":
        return len(os.fsencode(result)) + 1  # with the null byte at its end
    if isinstance(result, bytes):
        return len(result) if call == "read" else 0
    return 0 if result is None else result


def reporting_socket(plain: type[_socket.socket]) -> type[_socket.socket]:
    """Return a class of sockets that reports socket(2) for each new socket; other classes may derive from it."""

    class ReportingSocket(plain):  # type: ignore[misc,valid-type]
        __slots__ = ()

        def __init__(self, *arguments: Any, **named: Any) -> None:
            begun = time.monotonic_ns()
            super().__init__(*arguments, **named)
            if explain.listeners:
                explain.report("socket", (*arguments, named), self.fileno(), begun)

    return ReportingSocket


def reporting_execve(execve: Callable[..., Any]) -> Callable[..., Any]:
    """Return execve(2) with a wrapper that reports it before the call: after a success, this code is gone."""

    def report_and_execve(path: str | int, arguments: list[str], environment: dict[str, str]) -> None:
        if explain.listeners:
            explain.report("execve", (path, arguments, {}), 0, time.monotonic_ns())
            report_trampoline(path, arguments)
        execve(path, arguments, environment)

    return report_and_execve


def report_trampoline(path: str | int, arguments: list[str]) -> None:
    """Report the second execve(2) if *path* is a trampoline, which cannot report it; see machine_code/trampoline.py."""
    if isinstance(path, int) or path.startswith("/proc/self/fd/"):
        explain.report("execve", (arguments[0], arguments[1:], {}), 0, time.monotonic_ns())


def reporting_posix_spawn(posix_spawn: Callable[..., int]) -> Callable[..., int]:
    """Return posix_spawn(3) with a wrapper that reports its calls afterwards: clone(2), setsid(2), execve(2)."""

    def spawn_and_report(path: str, arguments: list[str], environment: dict[str, str], **settings: Any) -> int:
        if not explain.listeners:
            return posix_spawn(path, arguments, environment, **settings)
        begun = time.monotonic_ns()
        try:
            pid = posix_spawn(path, arguments, environment, **settings)
        except OSError as error:
            explain.report("posix_spawn", (path, arguments, {}), -(error.errno or 0), begun)
            raise
        explain.report("clone", ("CLONE_VM|CLONE_VFORK", {}), pid, begun)
        for action, fd, *more in settings.get("file_actions", ()):
            if action == os.POSIX_SPAWN_DUP2:
                explain.report("dup2", (fd, more[0], {}), more[0], begun)
            elif action == os.POSIX_SPAWN_OPEN:
                explain.report("open", (*more[:2], {}), 0, begun)
        if settings.get("setsid"):
            explain.report("setsid", ({},), pid, begun)
        explain.report("execve", (path, arguments, {}), 0, begun)
        if not explain.held:
            report_trampoline(path, arguments)
        return pid

    return spawn_and_report
