"""Mount /proc for another container's pid namespace (--pid container:NAME) without exposing tinybox to its processes.

The proc file system shows the pid namespace of the process that calls fsopen(2). A process of tinybox inside the
container's pid namespace is visible to the processes there; with CAP_SYS_PTRACE they could use its files, descriptors
and rights. So the process that makes the call has none of these: its root is an empty directory, its user namespace is
new, and it has one descriptor. If tinybox is killed, the kernel kills these helper processes, too (PR_SET_PDEATHSIG).
"""

from __future__ import annotations

import _socket  # the C half alone: socket.py costs 4 ms more
import os
import signal
import struct
from contextlib import suppress

from tinybox.errors import HostError
from tinybox.isolation import mounts, rootfs
from tinybox.linux import mount, own_memory, process
from tinybox.linux.filesystem import descriptors, files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

_PATIENCE = 10.0  # seconds: the processes of the container may stop a process in their namespace
_EMPTY = "/run"  # a directory that every host has; an empty tmpfs covers it in a mount namespace of milliseconds


def mount_proc(pid_namespace: int, options: mounts.Options, arguments: tuple[int, int, int]) -> int:
    """Return an fd of a detached mount of proc for the pid namespace of the fd *pid_namespace*; see fsmount(2).

    *arguments* are the addresses of this process's command line, see `own_memory.set_title`. HostError: the mount
    cannot be made, or a process of the namespace has replaced it.
    """
    parent_end, child_end = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
    try:
        middle = os.fork()
        if middle == 0:
            _enter(child_end, pid_namespace, arguments)
        child_end.close()
        try:
            context = _received(parent_end)
        finally:
            os.kill(middle, signal.SIGKILL)  # it may still wait for its child, if that was stopped; both are killed
            os.waitpid(middle, 0)
    finally:
        parent_end.close()
    made = mounts.new_filesystem(b"proc", b"proc", options, context)
    if files.file_system(made) != files.PROC_SUPER_MAGIC:
        os.close(made)
        cause = "a process of the other pid namespace has replaced it"
        raise HostError("proc file system", cause, "that process has CAP_SYS_PTRACE")
    return made


def _received(line: _socket.socket) -> int:
    """Return the fd that the helper process sends over *line*; HostError: none arrived within _PATIENCE seconds."""
    line.settimeout(_PATIENCE)
    try:
        _, passed, _, _ = line.recvmsg(1, _socket.CMSG_SPACE(4))
    except OSError as error:
        raise HostError("proc file system", f"the other pid namespace does not answer: {error}") from error
    if not passed:
        raise HostError("proc file system", "cannot be made in the other pid namespace", "has it ended?")
    with suppress(TimeoutError):
        line.recv(1)  # wait for the end of both processes: else the inner one would stay in the namespace as a zombie
    return int(struct.unpack("i", passed[0][2][:4])[0])


def _enter(line: _socket.socket, pid_namespace: int, arguments: tuple[int, int, int]) -> NoReturn:
    """Drop all resources of tinybox, make a child without rights in the pid namespace, and wait for it; see setns(2).

    The child sends the fd of fsopen(2) over *line*.
    """
    status = 1
    try:
        process.set_parent_death_signal(signal.SIGKILL)
        process.set_dumpable(False)
        own_memory.erase_environment()
        own_memory.set_title(b"tinybox:proc", arguments)
        descriptors.close_range(0, 2)
        descriptors.close_all_but([line.fileno(), pid_namespace])
        process.unshare(process.CLONE_NEWNS)
        mounts.make_private()
        rootfs.place_over(mounts.new_filesystem(b"tmpfs", b"tmpfs", mounts.Options(["ro", "size=0k"])), _EMPTY)
        rootfs.pivot(os.fsencode(_EMPTY))
        process.setns(pid_namespace, process.CLONE_NEWPID)
        os.close(pid_namespace)
        child = process.clone(process.CLONE_NEWUSER | process.CLONE_NEWNS)
        if child == 0:
            process.set_parent_death_signal(signal.SIGKILL)
            passed = struct.pack("i", mount.fsopen(b"proc"))
            line.sendmsg([b"."], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, passed)])
        else:
            os.waitpid(child, 0)
        status = 0
    finally:
        os._exit(status)
