"""Hooks: programs that config.json names, run at six points of a container's life; see OCI's "POSIX-platform Hooks".

Each hook reads the container's state from its stdin. If a hook fails before the program runs, the container is not
started, and the end of the hook's output is part of the error. The parent and the child use this file; the child
imports nothing.
"""

from __future__ import annotations

import os
import select

from tinybox.container.process import init
from tinybox.container.records import spec
from tinybox.errors import TinyboxError
from tinybox.linux import quick_json as json
from tinybox.linux import trampoline
from tinybox.linux.signals import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinybox.container.process.handles import Handles
    from tinybox.container.records.spec import Hook, Spec

_QUOTED = 2000  # bytes: how much of the end of a hook's output is part of the error


def state_of(container: str, status: str, pid: int, bundle: str, annotations: dict[str, str]) -> bytes:
    """Return the container's state for a hook's stdin, as JSON; see "State" in OCI's runtime.md."""
    state = {"ociVersion": spec.OCI_VERSION, "id": container, "status": status, "pid": pid, "bundle": bundle}
    if status == "stopped":
        del state["pid"]
    return json.dumps(state | {"annotations": annotations}).encode()


def run_all(config: Spec, kind: str, state: bytes) -> None:
    """Run the hooks of this *kind* in order, in this process's namespaces; TinyboxError names the first that fails."""
    for number, hook in enumerate(config.get("hooks", {}).get(kind, [])):
        run(f"hooks.{kind}[{number}] {hook['path']}", hook, state)


def run(name: str, hook: Hook, state: bytes, handles: Handles | None = None) -> None:
    """Run one hook with *state* on its stdin and wait for it, at most its ``timeout`` seconds; see posix_spawn(3).

    With *handles*, its file is a file of the box, so the trampoline executes it. tinybox may block signals, but in the
    hook no signal is blocked or ignored. TinyboxError: it cannot be executed, fails, or is killed after its timeout.
    """
    stdin, output = _memory(state), _memory(b"")
    streams = ((stdin, 0), (output, 1), (output, 2))
    args, env = hook.get("args") or [hook["path"]], dict(line.partition("=")[::2] for line in hook.get("env", []))
    try:
        if handles is not None and handles.trampoline >= 0:
            pid = _start_inside(hook["path"], args, env, streams, handles)
        else:
            pid = os.posix_spawn(
                hook["path"],
                args,
                env,
                file_actions=[(os.POSIX_SPAWN_DUP2, fd, number) for fd, number in streams],
                setsigmask=(),
                setsigdef=init.ignored(),
            )
        _wait(name, pid, hook.get("timeout"), output)
    except OSError as error:
        raise TinyboxError(name, (error.strerror or "").lower()) from error
    finally:
        os.close(stdin)
        os.close(output)


def _start_inside(
    path: str, args: list[str], env: dict[str, str], streams: tuple[tuple[int, int], ...], handles: Handles
) -> int:
    """Start a program of the box with these *streams* by the trampoline; OSError: it cannot be executed.

    The trampoline reports a refusal of execve(2) on the fd number ``sync.report``, so this child gets a pipe of its own
    under that number.
    """
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            for fd, number in (*streams, (writing, handles.sync.report)):
                os.dup2(fd, number)
            init.have_default_signals()
            trampoline.execute(handles.trampoline, path, args, env)
        except OSError as error:
            os.write(writing, bytes((error.errno or 0, 10)))
        finally:
            os._exit(trampoline.FAILED)
    os.close(writing)
    with open(reading, "rb") as pipe:
        refused = pipe.read(1)
    if refused:
        os.waitpid(pid, 0)
        raise OSError(refused[0], os.strerror(refused[0]))
    return pid


def _memory(content: bytes) -> int:
    """Return an fd of a file in memory with *content*, positioned at its start; see memfd_create(2)."""
    fd = os.memfd_create("hook")
    os.write(fd, content)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def _wait(name: str, pid: int, seconds: int | None, output: int) -> None:
    pidfd = os.pidfd_open(pid)
    try:
        waiting = select.poll()
        waiting.register(pidfd, select.POLLIN)
        in_time = bool(waiting.poll(None if seconds is None else seconds * 1000))
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
