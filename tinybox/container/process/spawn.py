"""The parent's side of clone3(2): it opens the control groups, makes the child, and waits for it.

Everything is decided before clone3(2); after it, parent and child communicate only through the sync pipes.
"""

from __future__ import annotations

import errno
import gc
import os

from tinybox.container.process import child, init, sync_pipe
from tinybox.errors import StepError
from tinybox.isolation import inherited, namespaces
from tinybox.linux import proc, process, user_namespaces, waiting
from tinybox.linux.filesystem import own_files
from tinybox.linux.machine_code import trampoline
from tinybox.linux.signals import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinybox.container.process.handles import Handles
    from tinybox.container.process.plan import Step
    from tinybox.isolation.cgroups.group import Cgroup
    from tinybox.isolation.confinement import Confinement

PATIENCE = 10.0  # seconds in which the kernel ends all processes of a pid namespace
MOMENT = 1.0  # seconds in which a process ends after SIGKILL, if it is not frozen


def make_trampoline(handles: Handles, confinement: Confinement | None = None, waits: bool = False) -> None:
    """Make the trampoline, which will execute the box's program, as a sealed memory file; see memfd_create(2).

    It also installs the filter of the *confinement*. A flag that the kernel does not know is found here, not then.
    If it *waits*, it goes on only after a byte has come from the gate.
    """
    lock = confinement.lock(handles.sync.gate) if confinement is not None else None
    if lock is None and waits:
        lock = trampoline.Lock(handles.sync.gate, b"", 0, None)
    if lock is not None and lock.flags:
        from tinybox.isolation import confinement as checks

        checks.check_flags(lock.flags)
    handles.trampoline = trampoline.make(handles.sync.report, lock)


def spawn(handles: Handles, flags: int, steps: list[Step]) -> None:
    """Clone the child into new namespaces and, on cgroup v2, into its control group; see clone3(2)."""
    with Quiet():
        try:
            handles.pid, handles.pidfd = process.clone3(flags, cgroup=handles.cgroup_fd)
        except PermissionError as error:
            _refuse_outside(error)
            raise
        if handles.pid == 0:
            child.become(steps, handles)
    handles.sync.keep_parent_side()


class Quiet:
    """Blocks signals, stops garbage collection and makes this process not dumpable, while it makes a child.

    The child inherits all three. All signals are blocked in it from the start: a handler of tinybox must not run there,
    and PID 1 gets early signals when it begins to wait for them. A garbage collection in the child would write to, and
    so copy, every page of the heap. A process that is not dumpable hides its memory: PR_SET_DUMPABLE in prctl(2).
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


def kill(handles: Handles) -> None:
    """Kill the child, if it has not ended, and wait for it; see pidfd_send_signal(2) and waitid(2).

    In a frozen control group of version 1, SIGKILL has no effect: so a child that does not end is taken out of it. It
    may also be late for another reason: it has many processes, or the machine is busy.
    """
    if handles.pidfd < 0:
        return
    try:
        signal.pidfd_send_signal(handles.pidfd, signal.SIGKILL)
    except ProcessLookupError:  # it was reaped
        return
    while not waiting.readable(handles.pidfd, MOMENT):
        from tinybox.isolation.cgroups import frozen, hierarchies

        frozen.take_out(handles.pid, hierarchies.hierarchies())
    try:
        os.waitid(os.P_PIDFD, handles.pidfd, os.WEXITED)
    except ChildProcessError:
        return


def kill_recorded(pid: int, ticks: int) -> None:
    """Kill the process *pid* that was started *ticks* after the boot, if it still runs, and wait for its end.

    A zombie has ended, even if its parent never reaps it; so it gets no signal. Without root, the kernel could refuse
    it: the zombie may belong to a user namespace that is no longer this user's (EPERM).
    """
    try:
        pidfd = os.pidfd_open(pid) if pid > 0 else -1
    except ProcessLookupError:
        return
    if pidfd < 0:
        return
    try:
        if proc.is_alive(pid, ticks):
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            waiting.readable(pidfd, PATIENCE)
    except ProcessLookupError:
        return
    finally:
        os.close(pidfd)


def set_clocks(handles: Handles, offsets: dict[str, dict[str, int]]) -> None:
    """Set the clocks of the child's new time namespace, and let it go on; see time_namespaces(7)."""
    if handles.sync.receive() != [sync_pipe.CLOCKS]:
        raise StepError("container process", "ended before it had a time namespace", "killed, or out of memory")
    namespaces.set_clocks(handles.pid, offsets)
    handles.sync.open_gate(sync_pipe.ON)


def release(handles: Handles) -> None:
    """Let the child begin its steps: its id maps are written, and it has what only a parent can set; see pipe(7)."""
    handles.sync.open_gate(sync_pipe.GO)


def await_child(handles: Handles) -> None:
    """Wait until the child has done all its steps; see pipe(7)."""
    if not receive(handles):
        raise StepError("container process", "ended before it was ready", "killed, or out of memory under its limit")


def receive(handles: Handles, sender: int = -1) -> list[bytes]:
    """Return the child's next message, after those that hand over an fd, which is copied by pidfd_getfd(2).

    *sender* as in SyncPipes.receive().

    The master of a terminal is kept. The listener of a seccomp filter is sent to the agent at once: the child's next
    system call may wait for the agent's answer.
    """
    message = handles.sync.receive(sender)
    while message[:1] in ([sync_pipe.LISTENER], [sync_pipe.TERMINAL]):
        fd = process.pidfd_getfd(handles.pidfd, int(message[1]))
        if message[0] == sync_pipe.TERMINAL:
            handles.master = fd
        else:
            _serve(handles, fd)
        handles.sync.open_gate(sync_pipe.ON)
        message = handles.sync.receive(sender)
    return message


def _serve(handles: Handles, listener: int) -> None:
    try:
        if handles.agent is not None:
            handles.agent.hand_over(handles.pid, listener)
    finally:
        os.close(listener)


def start(handles: Handles) -> None:
    """Let the child execute the program; return when execve(2) has succeeded, which closes the report pipe.

    If execve(2) is refused, the error of sync_pipe.refusal() is raised.
    """
    handles.sync.open_gate(sync_pipe.START)
    handles.sync.receive()


def open_cgroup(cgroup: Cgroup, handles: Handles, beside: int = -1) -> None:
    """Open the cgroup v2 directory in which clone3(2) will make the child; see CLONE_INTO_CGROUP there.

    Open the files of the groups of version 1, too, by which the child will join them itself: then it is in each of its
    groups without a wait of the kernel. *beside* is a pidfd of a process that is in this group already, or -1.
    """
    handles.cgroup_fd = cgroup.open(0 if beside < 0 else process.pid_of(beside))
    open_tasks(cgroup, handles)


def open_tasks(cgroup: Cgroup, handles: Handles) -> None:
    """Open the files of the groups of version 1, by which the child will join them; see ``tasks`` in cgroups(7)."""
    handles.tasks += cgroup.open_tasks()


def enter_cgroup(cgroup: Cgroup, handles: Handles, beside: int) -> None:
    """Put the child into its control group of version 2, beside the process with the pidfd *beside*; see cgroups(7).

    The kernel does not refuse such a move because of pids.max, so `exec` works in a box that has reached this limit.
    """
    group = cgroup.open(process.pid_of(beside))
    if group is None:
        return
    try:
        fd = os.open("cgroup.procs", os.O_WRONLY | os.O_CLOEXEC, dir_fd=group)
        own_files.write_once(fd, str(handles.pid).encode())
    except PermissionError as error:
        _refuse_outside(error)
        raise
    finally:
        os.close(group)


def _refuse_outside(error: PermissionError) -> None:
    """Raise StepError if this user's groups are in a part of the tree that this command is outside of; cgroups(7).

    See "Delegation containment" there.
    """
    if user_namespaces.groups and error.errno == errno.EACCES:
        cause = f"this command is outside of {user_namespaces.groups}, in which the boxes of this user are"
        cure = "run it in there, or as: systemd-run --user --scope -p Delegate=yes COMMAND"
        raise StepError("control group", cause, cure) from error


def reset_inherited(handles: Handles, names: list[str]) -> None:
    """Give the child the defaults of attributes that it has inherited from tinybox's caller; see sched(7)."""
    inherited.reset_child(handles.pid, names)


def set_oom_score(handles: Handles, score: int) -> None:
    """Set how likely the OOM killer ends this container, from -1000 to 1000; see proc_pid_oom_score_adj(5)."""
    fd = os.open(f"/proc/{handles.pid}/oom_score_adj", os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, str(score).encode())
    finally:
        os.close(fd)
