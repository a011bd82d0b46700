"""A child that joins namespaces of other processes: what the parent does for that, and what the child does.

The parent opens the namespaces, because their paths are on the host. A child that joins a pid namespace comes into it
as a second process, when it has given up all that is the host's. A child that joins a user namespace and others is made
by a helper process, which has joined them as the host's root.
"""

from __future__ import annotations

import os

from tinybox.container.process import child, spawn, sync_pipe
from tinybox.errors import StepError
from tinybox.isolation import namespaces
from tinybox.linux import proc, process, waiting
from tinybox.linux.signals import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinybox.container.process.handles import Handles
    from tinybox.container.process.plan import Step


# The parent's side


def open_namespace(handles: Handles, kind: str, path: str) -> None:
    """Open a namespace that the child will join; its path is on the host, so the parent opens it; see namespaces(7)."""
    handles.namespace_fds[kind] = namespaces.open_path(kind, path)


def await_namespaces(handles: Handles) -> None:
    """Wait until the child has made its namespaces; see pipe(7)."""
    if handles.sync.receive() != [sync_pipe.NAMESPACES]:
        raise StepError("container process", "ended before its namespaces were made", "killed, or out of memory")


def spawn_from_inside(handles: Handles, flags: int, steps: list[Step]) -> None:
    """Clone the child from a helper process that has joined the namespaces to be joined, the user namespace last.

    As the host's root, the helper may join a namespace that the host owns; root of a user namespace may not. In a
    joined user namespace the child owns its new namespaces. With CLONE_PARENT of clone3(2), the child's parent is this
    process and not the helper. The helper reports the child's pid and ends.
    """
    with spawn.Quiet():
        _spawn_by_another(handles, flags, steps)
    handles.sync.keep_parent_side()


def _spawn_by_another(handles: Handles, flags: int, steps: list[Step]) -> None:
    reading, writing = os.pipe()
    helper = os.fork()
    if helper == 0:
        try:
            process.set_name(child.NAME)
            join_namespaces(handles)
            if "user" in handles.namespace_fds:
                join_namespace(handles, "user")
            pid, _ = process.clone3(flags | process.CLONE_PARENT, cgroup=handles.cgroup_fd, exit_signal=0)
            if pid == 0:
                child.become(steps, handles)
            os.write(writing, str(pid).encode())
        except OSError as error:
            handles.sync.send_error(StepError("linux.namespaces", f"the child cannot be made there: {error}"))
        finally:
            os._exit(0)
    os.close(writing)
    os.waitpid(helper, 0)
    number = os.read(reading, 32) if waiting.readable(reading, 0) else b""  # the child has the other end, too
    os.close(reading)
    if not number:
        _end_unknown_child(handles)
        handles.sync.keep_parent_side()
        handles.sync.receive()
        raise StepError("container process", "the helper that makes it was killed", "is the host out of memory?")
    handles.pid = int(number)
    handles.pidfd = os.pidfd_open(handles.pid)


def _end_unknown_child(handles: Handles) -> None:
    """Kill and reap a child of which this process has no pid: the process that has made it was killed too early.

    The end of its pid namespace would wait for that, until this process ends; see pid_namespaces(7). A kernel without
    CONFIG_PROC_CHILDREN does not name it: then it ends at the gate, and waits to be reaped. See proc_tid_children(5).
    """
    try:
        children = [int(word) for word in proc.text("/proc/thread-self/children").split()]
    except FileNotFoundError:
        return
    for pid in children:
        found = proc.stat_of(pid)
        if pid != handles.pid and found is not None and found.comm == child.NAME.decode():
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def adopt(handles: Handles) -> None:
    """Wait until the child goes on as a second process in the pid namespace that it has joined; see clone(2).

    The first process has ended by then. The second one is also a child of this process and is not reaped by others, so
    its pid cannot be reused before pidfd_open(2).
    """
    message = spawn.receive(handles, sender=handles.pidfd)
    if message[:1] != [sync_pipe.BORN]:
        _end_unknown_child(handles)
        raise StepError("container process", "ended before it was in the pid namespace", "killed, or out of memory")
    os.waitid(os.P_PIDFD, handles.pidfd, os.WEXITED)
    os.close(handles.pidfd)
    handles.pid, handles.pidfd = int(message[1]), -1
    handles.pidfd = os.pidfd_open(handles.pid)


def go_on(handles: Handles) -> None:
    """Let the second process go on: this process has its pidfd; see pipe(7)."""
    handles.sync.open_gate(sync_pipe.ON)


# The child's side


def join_pid_namespace(handles: Handles) -> None:
    """Select the pid namespace of this process's next child; this process itself stays outside of it: setns(2).

    Inside, the container's processes would see this process while it still has the host's files and root's rights: with
    CAP_SYS_PTRACE they could read and write both through /proc/PID/root and /proc/PID/mem.
    """
    process.setns(handles.namespace_fds["pid"], process.CLONE_NEWPID)


def join_namespaces(handles: Handles) -> None:
    """Join the namespaces that are to be joined, while this process has the rights of the host's root: setns(2).

    Those of the kinds user, pid and mount are not among them. One that may only be joined from inside a user namespace,
    which is to be joined, too, stays in *handles* for then.
    """
    for kind in [kind for kind in handles.namespace_fds if kind not in ("user", "pid", "mount")]:
        try:
            join_namespace(handles, kind)
        except PermissionError:
            if "user" not in handles.namespace_fds:
                raise


def join_namespace(handles: Handles, kind: str) -> None:
    """Join the other namespace of this *kind*, unless that has been done already; see setns(2)."""
    fd = handles.namespace_fds.get(kind, -1)
    if fd >= 0:
        process.setns(fd, namespaces.KINDS[kind][0])
        del handles.namespace_fds[kind]
        os.close(fd)


def make_namespaces(handles: Handles, flags: int) -> None:
    """Move this process to new namespaces of the kinds in *flags*, and report that to the parent; see unshare(2)."""
    process.unshare(flags)
    handles.sync.send(sync_pipe.NAMESPACES)


def enter_pid_namespace(handles: Handles) -> None:
    """Go on as a new process in the joined pid namespace, and end this one; see clone(2).

    By now, this process has no rights of the host left that the container's processes could take from the new one.
    CLONE_PARENT makes the new one a child of tinybox, like this one. It waits until tinybox has its pidfd.
    """
    pid = process.clone(process.CLONE_PARENT)
    if pid:
        handles.sync.send(sync_pipe.BORN, str(pid).encode())
        os._exit(0)
    process.set_parent_death_signal(signal.SIGKILL)
    handles.sync.wait(sync_pipe.ON)
