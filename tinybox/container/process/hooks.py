"""Hooks: programs of others that are told of a container at six points of its life; see "POSIX-platform Hooks" of OCI.

Each gets the container's state on its standard input. One that fails before the program runs keeps it from running;
what it has written is then part of the error. This is run by the parent and by the child, which imports nothing.
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

_TOLD = 2000  # bytes of what a hook has written


def state_of(container: str, status: str, pid: int, bundle: str, annotations: dict[str, str]) -> bytes:
    """Return the state that hooks read, as JSON; see "State" in OCI's runtime.md."""
    state = {"ociVersion": spec.OCI_VERSION, "id": container, "status": status, "pid": pid, "bundle": bundle}
    if status == "stopped":
        del state["pid"]
    return json.dumps(state | {"annotations": annotations}).encode()


def run_all(config: Spec, kind: str, state: bytes) -> None:
    """Run the hooks of this *kind* in their order, here and now; TinyboxError names the first that fails."""
    for number, hook in enumerate(config.get("hooks", {}).get(kind, [])):
        run(f"hooks.{kind}[{number}] {hook['path']}", hook, state)


def run(name: str, hook: Hook, state: bytes, handles: Handles | None = None) -> None:
    """Run one hook with *state* on its stdin and wait for it, at most its ``timeout``; see posix_spawn(3).

    With *handles* its file is the box's, and the trampoline executes it. tinybox may block signals, but the hook
    begins with none blocked and none ignored.
    """
    told, said = _memory(state), _memory(b"")
    streams = ((told, 0), (said, 1), (said, 2))
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
        _wait(name, pid, hook.get("timeout"), said)
    except OSError as error:
        raise TinyboxError(name, (error.strerror or "").lower()) from error
    finally:
        os.close(told)
        os.close(said)


def _start_inside(
    path: str, args: list[str], env: dict[str, str], streams: tuple[tuple[int, int], ...], handles: Handles
) -> int:
    """Start a program of the box with these *streams* by the trampoline; OSError: it cannot be executed.

    The trampoline tells a refusal on the report's number, so there this child has a pipe of its own; see pipe(7).
    """
    heard, told = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            for fd, number in (*streams, (told, handles.sync.report)):
                os.dup2(fd, number)
            init.have_default_signals()
            trampoline.execute(handles.trampoline, path, args, env)
        except OSError as error:
            os.write(told, bytes((error.errno or 0, 10)))
        finally:
            os._exit(trampoline.FAILED)
    os.close(told)
    with open(heard, "rb") as pipe:
        refused = pipe.read(1)
    if refused:
        os.waitpid(pid, 0)
        raise OSError(refused[0], os.strerror(refused[0]))
    return pid


def _memory(content: bytes) -> int:
    """Return a file that is nowhere, with *content* to be read from its start; see memfd_create(2)."""
    fd = os.memfd_create("hook")
    os.write(fd, content)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def _wait(name: str, pid: int, seconds: int | None, said: int) -> None:
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
        last = os.pread(said, _TOLD, max(0, os.lseek(said, 0, os.SEEK_END) - _TOLD)).decode(errors="replace").strip()
        raise TinyboxError(name, f"{how}: {last}" if last else how)
