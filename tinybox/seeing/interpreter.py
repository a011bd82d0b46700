"""The calls that Python makes for us: while somebody listens, functions such as os.mkdir tell of themselves, too.

Half of a container is made by calls that need no door of their own, since Python has one. Instead of a line for the
audience beside each of them in the engine, the functions are exchanged here, for as long as somebody listens, for ones
that do the same and tell. With nobody listening they are Python's own.
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

# Python's function: (the module, the system call under which it is told); arguments are told as Python was given them.
FUNCTIONS: list[tuple[ModuleType, str, str]] = [
    (os, "open", "openat"),
    (os, "read", "read"),
    (os, "write", "write"),
    (os, "mkdir", "mkdirat"),
    (os, "rmdir", "rmdir"),
    (os, "mknod", "mknodat"),
    (os, "symlink", "symlinkat"),
    (os, "chmod", "fchmodat"),
    (os, "chown", "fchownat"),
    (os, "fchown", "fchown"),
    (os, "chdir", "chdir"),
    (os, "fchdir", "fchdir"),
    (os, "chroot", "chroot"),
    (os, "getcwd", "getcwd"),
    (os, "dup", "fcntl"),
    (os, "dup2", "dup2"),
    (os, "rename", "rename"),
    (os, "access", "faccessat2"),
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

# Old calls, and the newer ones that can do more. aarch64 has the newer alone, and libc makes them there; syscalls(2).
REPLACED = {"dup2": "dup3", "rename": "renameat", "rmdir": "unlinkat"}
MACHINE = os.uname().machine


class Interpreter:
    """Python's own functions, exchanged while this is entered, in this process and in those that it makes."""

    def __enter__(self) -> None:
        self._former = [(module, name, getattr(module, name)) for module, name, _ in FUNCTIONS]
        self._former += [(_socket, "socket", _socket.socket)]
        self._former += [(os, name, getattr(os, name)) for name in ("execve", "posix_spawn")]
        for module, name, call in FUNCTIONS:
            setattr(module, name, told(call, getattr(module, name)))
        _socket.socket = socket_told(_socket.socket)  # type: ignore[misc]
        os.execve = execve_told(os.execve)
        os.posix_spawn = posix_spawn_told(os.posix_spawn)

    def __exit__(self, *_: object) -> None:
        for module, name, function in self._former:
            setattr(module, name, function)


def told(call: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return *function*, telling of itself as the system call *call*; see syscalls(2)."""

    def and_tell(*arguments: Any, **named: Any) -> Any:
        if not explain.listeners:
            return function(*arguments, **named)
        begun = time.monotonic_ns()
        try:
            result = function(*arguments, **named)
        except OSError as error:
            explain.tell(made(call, named), (*arguments, named), -(error.errno or 0), begun)
            raise
        explain.tell(made(call, named), (*arguments, named), _answer(call, result), begun)
        return result

    return and_tell


def made(call: str, named: dict[str, Any], machine: str = MACHINE) -> str:
    """Return the call that is really made: the newer one on aarch64, and of rmdir(2) in an open directory."""
    return REPLACED.get(call, call) if machine == "aarch64" or "dir_fd" in named else call


def _answer(call: str, result: Any) -> object:
    """Return the kernel's answer where Python gives another: None for 0, or an object for its descriptor."""
    if call == "setsid":
        return os.getpid()  # the number of the new session; Python keeps it to itself
    if call == "faccessat2":
        return 0 if result else -13
    if call == "getcwd":
        return len(os.fsencode(result)) + 1  # with the zero at its end
    if isinstance(result, bytes):
        return len(result) if call == "read" else 0
    return 0 if result is None else result


def socket_told(plain: type[_socket.socket]) -> type[_socket.socket]:
    """Return the class of sockets, of which each new one tells of socket(2); others may derive theirs from it."""

    class Told(plain):  # type: ignore[misc,valid-type]
        __slots__ = ()

        def __init__(self, *arguments: Any, **named: Any) -> None:
            begun = time.monotonic_ns()
            super().__init__(*arguments, **named)
            if explain.listeners:
                explain.tell("socket", (*arguments, named), self.fileno(), begun)

    return Told


def execve_told(execve: Callable[..., Any]) -> Callable[..., Any]:
    """Return execve(2), told before it is made: where it succeeds, nobody is left to tell."""

    def tell_and_execve(path: str | int, words: list[str], environment: dict[str, str]) -> None:
        if explain.listeners:
            explain.tell("execve", (path, words, {}), 0, time.monotonic_ns())
            tell_trampoline(path, words)
        execve(path, words, environment)

    return tell_and_execve


def tell_trampoline(path: str | int, words: list[str]) -> None:
    """Tell the execve(2) that follows, if *path* is a trampoline, which tells nothing; see linux/trampoline.py."""
    if isinstance(path, int) or path.startswith("/proc/self/fd/"):
        explain.tell("execve", (words[0], words[1:], {}), 0, time.monotonic_ns())


def posix_spawn_told(posix_spawn: Callable[..., int]) -> Callable[..., int]:
    """Return posix_spawn(3), told afterwards as the calls that it is made of: clone(2), setsid(2), execve(2)."""

    def spawn_and_tell(path: str, words: list[str], environment: dict[str, str], **settings: Any) -> int:
        if not explain.listeners:
            return posix_spawn(path, words, environment, **settings)
        begun = time.monotonic_ns()
        try:
            pid = posix_spawn(path, words, environment, **settings)
        except OSError as error:
            explain.tell("posix_spawn", (path, words, {}), -(error.errno or 0), begun)
            raise
        explain.tell("clone", ("CLONE_VM|CLONE_VFORK", {}), pid, begun)
        for name, flags in [(given[1:3]) for given in settings.get("file_actions", ())]:
            explain.tell("open", (flags, name, {}), 0, begun)
        if settings.get("setsid"):
            explain.tell("setsid", ({},), pid, begun)
        explain.tell("execve", (path, words, {}), 0, begun)
        tell_trampoline(path, words)
        return pid

    return spawn_and_tell
