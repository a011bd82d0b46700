"""Hooks: programs that config.json names, run at six points of a container's life; see OCI's "POSIX-platform Hooks".

Each hook reads the container's state from its stdin. If a hook fails before the program runs, the container is not
started, and the end of the hook's output is part of the error. The parent and the child use this file; the child
imports nothing.
"""

from __future__ import annotations

import os

from tinybox.container.process import init
from tinybox.container.records import spec
from tinybox.errors import TinyboxError
from tinybox.linux import quick_json as json
from tinybox.linux import waiting
from tinybox.linux.machine_code import trampoline
from tinybox.linux.signals import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

    from tinybox.container.records.spec_types import Hook, Spec

_QUOTED = 2000  # bytes: how much of the end of a hook's output is part of the error


def state_of(container: str, status: str, pid: int, bundle: str, annotations: dict[str, str]) -> bytes:
    """Return the container's state for a hook's stdin, as JSON; see "State" in OCI's runtime.md."""
    state = {"ociVersion": spec.OCI_VERSION, "id": container, "status": status, "pid": pid, "bundle": bundle}
    if status == "stopped":
        del state["pid"]
    return json.dumps(state | {"annotations": annotations}).encode()


def run_all(config: Spec, kind: str, state: bytes, bundle: str) -> None:
    """Run the hooks of this *kind* in order, in this process's namespaces; TinyboxError names the first that fails."""
    for number, hook in enumerate(config.get("hooks", {}).get(kind, [])):
        run(f"hooks.{kind}[{number}] {hook['path']}", hook, state, Place(bundle))


class Place:
    """Where a hook runs: its working *directory*, "" if that is this process's, and its environment if it names none.

    That is this process's *environment*, unless another one is given. With *inside*, which executes a path with
    arguments and an environment, the hook is a program of the box; otherwise it is one of the host.
    """

    def __init__(
        self,
        directory: str = "",
        environment: dict[str, str] | None = None,
        report: int = -1,
        inside: Callable[[str, list[str], dict[str, str]], NoReturn] | None = None,
    ) -> None:
        self.directory, self.environment = directory, environment
        self.report, self.inside = report, inside


def run(name: str, hook: Hook, state: bytes, place: Place) -> None:
    """Run one hook with *state* on its stdin and wait for it, at most its ``timeout`` seconds; see execve(2).

    TinyboxError: it cannot be executed, fails, or is killed after its timeout.
    """
    stdin, output = _memory(state), _memory(b"")
    try:
        pid = _start(hook, {0: stdin, 1: output, 2: output}, place)
        _wait(name, pid, hook.get("timeout"), output)
    except OSError as error:
        raise TinyboxError(name, (error.strerror or "").lower()) from error
    finally:
        os.close(stdin)
        os.close(output)


def _start(hook: Hook, streams: dict[int, int], place: Place) -> int:
    """Start the hook with these *streams* and return its pid; OSError: it cannot be executed.

    An error of execve(2) comes back through a pipe. The trampoline reports it on the fd number ``place.report``, so
    this child gets its end of the pipe under that number, too.
    """
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            if place.directory:
                _enter(place.directory)
            for number, fd in streams.items():
                os.dup2(fd, number)
            if place.report >= 0:
                os.dup2(writing, place.report)
            init.have_default_signals()
            _execute(hook, place)
        except OSError as error:
            os.write(writing, bytes((error.errno or 0, 10)))
        finally:
            os._exit(trampoline.FAILED)
    os.close(writing)
    with open(reading, "rb") as pipe:
        refused = pipe.read(1)
    if refused:
        os.waitpid(pid, 0)
        number = refused[0] & ~trampoline.UNCONFINED
        raise OSError(number, os.strerror(number))
    return pid


def _enter(directory: str) -> None:
    """Change to the working directory of a hook, if it is there and this process may; see chdir(2).

    The root of a user namespace may not enter each directory of the host.
    """
    try:
        os.chdir(directory)
    except (FileNotFoundError, PermissionError):
        return


def _execute(hook: Hook, place: Place) -> None:
    """Execute the hook's file, with the variables of its ``env``; without that field, with those of its place.

    tinybox may block and ignore signals; in the hook, no signal is blocked or ignored.
    """
    args = hook.get("args") or [hook["path"]]
    env: dict[str, str] = dict(os.environ) if place.environment is None else place.environment
    if hook.get("env") is not None:
        env = dict(line.partition("=")[::2] for line in hook["env"])
    (place.inside or os.execve)(hook["path"], args, env)


def _memory(content: bytes) -> int:
    """Return an fd of a file in memory with *content*, positioned at its start; see memfd_create(2)."""
    fd = os.memfd_create("hook")
    os.write(fd, content)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def _wait(name: str, pid: int, seconds: int | None, output: int) -> None:
    pidfd = os.pidfd_open(pid)
    try:
        in_time = seconds is None or waiting.readable(pidfd, seconds)
        if not in_time:
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    finally:
        os.close(pidfd)
    if not in_time:
        raise TinyboxError(name, f"has not ended after {seconds} s", "it was killed")
    if status:
        how = f"exit status {status}" if status > 0 else f"signal {-status}"
        start = max(0, os.lseek(output, 0, os.SEEK_END) - _QUOTED)
        last = os.pread(output, _QUOTED, start).decode(errors="replace").strip()
        raise TinyboxError(name, f"{how}: {last}" if last else how)
