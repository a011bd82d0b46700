"""The parent's side of clone3(2): the moment at which one process becomes two.

Before it, everything is decided; after it, parent and child speak only through the handshake.
"""

from __future__ import annotations

import gc
import os

from tinybox.container.process import child, init, sync_pipe
from tinybox.errors import StepError
from tinybox.isolation import namespaces
from tinybox.linux import process, trampoline
from tinybox.linux.signals import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinybox.container.process.handles import Handles
    from tinybox.container.process.plan import Step
    from tinybox.isolation.cgroups.group import Cgroup


def make_trampoline(handles: Handles) -> None:
    """Make the program that will execute the box's; it lies in memory that nobody can write to; see memfd_create(2)."""
    handles.trampoline = trampoline.make(handles.sync.report)


def spawn(handles: Handles, flags: int, steps: list[Step]) -> None:
    """Clone the child into new namespaces and, where v2 allows it, into its control group; see clone3(2)."""
    with _Unseen():
        handles.pid, handles.pidfd = process.clone3(flags, cgroup=handles.cgroup_fd)
        if handles.pid == 0:
            child.become(steps, handles)
    handles.sync.keep_parent_side()


def spawn_among_users(handles: Handles, flags: int, steps: list[Step]) -> None:
    """Have the child born by a process that has joined the user namespace: what is new then belongs to its users.

    That process makes it our child, not its own (CLONE_PARENT of clone3(2)), tells us its number, and ends.
    """
    with _Unseen():
        _spawn_by_another(handles, flags, steps)
    handles.sync.keep_parent_side()


class _Unseen:
    """Signals, garbage collection and the child's memory, while a child is born.

    All signals are blocked in the child from its first moment: a handler of ours must not run there, and PID 1 finds
    what came early when it begins to wait for signals. A collection in the child would touch, and so copy, every page
    of the heap. And the child is not dumpable, which it inherits: see prctl(2), PR_SET_DUMPABLE.
    """

    def __enter__(self) -> None:
        self.mask = signal.pthread_sigmask(signal.SIG_BLOCK, init.SIGNALS)
        self.collecting, self.dumpable = gc.isenabled(), process.is_dumpable()
        process.set_dumpable(False)
        gc.disable()

    def __exit__(self, *_: object) -> None:
        process.set_dumpable(self.dumpable)
        if self.collecting:
            gc.enable()
        signal.pthread_sigmask(signal.SIG_SETMASK, self.mask)


def _spawn_by_another(handles: Handles, flags: int, steps: list[Step]) -> None:
    heard, told = os.pipe()
    between = os.fork()
    if between == 0:
        try:
            process.setns(handles.namespace_fds["user"], process.CLONE_NEWUSER)
            pid, _ = process.clone3(flags | process.CLONE_PARENT, cgroup=handles.cgroup_fd, exit_signal=0)
            if pid == 0:
                child.become(steps, handles)
            os.write(told, str(pid).encode())
        except OSError as error:
            handles.sync.tell_error(StepError("user namespace", f"cannot be joined: {error}"))
        finally:
            os._exit(0)
    os.close(told)
    os.waitpid(between, 0)
    with open(heard, "rb") as pipe:
        number = pipe.read()
    if not number:
        handles.sync.hear()
    handles.pid = int(number)
    handles.pidfd = os.pidfd_open(handles.pid)


def kill(handles: Handles) -> None:
    """End the child for good and wait for it; see pidfd_send_signal(2). A dead one is only waited for."""
    if handles.pidfd < 0:
        return
    try:
        signal.pidfd_send_signal(handles.pidfd, signal.SIGKILL)
        os.waitid(os.P_PIDFD, handles.pidfd, os.WEXITED)
    except (ProcessLookupError, ChildProcessError):
        return


def open_namespace(handles: Handles, kind: str, path: str) -> None:
    """Open a namespace that the child will join, while its path can still be seen; see namespaces(7)."""
    handles.namespace_fds[kind] = namespaces.open_path(kind, path)


def await_namespaces(handles: Handles) -> None:
    """Wait until the child has made its namespaces; see pipe(7)."""
    if handles.sync.hear() != [sync_pipe.NAMESPACES]:
        raise StepError("container process", "ended before its namespaces were made", "killed, or out of memory")


def adopt(handles: Handles) -> None:
    """Wait until the child goes on as another process of ours, in the pid namespace it joined; see clone(2).

    The first one has ended then. Nobody else waits for the second one, so its number is its own.
    """
    words = handles.sync.hear()
    if words[:1] != [sync_pipe.BORN]:
        raise StepError("container process", "ended before it was among the others", "killed, or out of memory")
    os.waitid(os.P_PIDFD, handles.pidfd, os.WEXITED)
    os.close(handles.pidfd)
    handles.pid = int(words[1])
    handles.pidfd = os.pidfd_open(handles.pid)


def go_on(handles: Handles) -> None:
    """Let the second process begin: we know it; see pipe(7)."""
    handles.sync.open_gate(sync_pipe.ON)


def release(handles: Handles) -> None:
    """Let the child begin its steps: it is in its control groups, and its users are known; see pipe(7)."""
    handles.sync.open_gate(sync_pipe.GO)


def await_child(handles: Handles) -> None:
    """Wait until the child has done all its steps, and take over its terminal; see pidfd_getfd(2).

    A filter's listener is handed on as soon as there is one: the child's next step may be a call that asks its agent.
    """
    words = handles.sync.hear()
    while handles.agent is not None and words[:1] == [sync_pipe.LISTENER]:
        listener = process.pidfd_getfd(handles.pidfd, int(words[1]))
        try:
            handles.agent.hand_over(handles.pid, listener)
        finally:
            os.close(listener)
        words = handles.sync.hear()
    if not words:
        raise StepError("container process", "ended before it was ready", "killed, or out of memory under its limit")
    if int(words[1]) >= 0:
        handles.master = process.pidfd_getfd(handles.pidfd, int(words[1]))


def start(handles: Handles) -> None:
    """Let the child execute the program; returns when execve(2) has succeeded and its report pipe is closed."""
    handles.sync.open_gate(sync_pipe.START)
    handles.sync.hear()


def open_cgroup(cgroup: Cgroup, handles: Handles, beside: int = -1) -> None:
    """Open the v2 control group for the child to be born in; see CLONE_INTO_CGROUP in clone3(2).

    *beside* is a pidfd of a process that is in it already.
    """
    handles.cgroup_fd = cgroup.open(0 if beside < 0 else process.pid_of(beside))


def join_cgroup(cgroup: Cgroup, handles: Handles) -> None:
    """Put the child into the groups that clone3(2) could not: those of version 1, or all where there is no v2."""
    cgroup.join(handles.pid, unified=handles.cgroup_fd is None)


def enter_cgroup(cgroup: Cgroup, handles: Handles) -> None:
    """Put the child into all its groups, that of version 2 by its directory, which is open; see cgroups(7).

    A process that comes in this way is not refused by pids.max: so one can look into a box that has reached it.
    """
    if handles.cgroup_fd is not None:
        fd = os.open("cgroup.procs", os.O_WRONLY | os.O_CLOEXEC, dir_fd=handles.cgroup_fd)
        try:
            os.write(fd, str(handles.pid).encode())
        finally:
            os.close(fd)
    join_cgroup(cgroup, handles)


def set_oom_score(handles: Handles, score: int) -> None:
    """Tell the OOM killer how gladly to take this container, from -1000 to 1000; see proc_pid_oom_score_adj(5)."""
    fd = os.open(f"/proc/{handles.pid}/oom_score_adj", os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, str(score).encode())
    finally:
        os.close(fd)
