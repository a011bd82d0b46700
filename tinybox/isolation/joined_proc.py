"""A /proc of a pid namespace to which we do not belong, made without showing anything of ours in there.

The proc file system shows the pid namespace of the process that calls fsopen(2). A process of ours in the namespace of
others is seen by them; with CAP_SYS_PTRACE they act through it: on its files, its descriptors, its rights. So the
process that makes the call has none: its root is an empty directory, its user namespace is new, it has one descriptor.
"""

from __future__ import annotations

import _socket  # the C half alone: socket.py costs 4 ms more
import os
import signal
import struct
from contextlib import suppress

from tinybox.errors import HostError
from tinybox.isolation import mounts, rootfs
from tinybox.linux import files, mount, own_memory, process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

_PATIENCE = 10.0  # seconds: the others may stop a process that is among them
_EMPTY = "/run"  # a directory that every host has, to be covered in a mount namespace that lasts milliseconds


def mount_proc(pid_namespace: int, options: mounts.Options, arguments: tuple[int, int, int]) -> int:
    """Return an fd of a detached mount of proc, of the namespace behind the fd *pid_namespace*; see fsmount(2).

    *arguments* are the addresses of our command line, see `own_memory.take_name`. HostError: it cannot be made.
    """
    ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
    try:
        middle = os.fork()
        if middle == 0:
            _go(theirs, pid_namespace, arguments)
        theirs.close()
        try:
            context = _received(ours)
        finally:
            os.kill(middle, signal.SIGKILL)  # it has ended, unless the others hold the one in there, which goes with it
            os.waitpid(middle, 0)
    finally:
        ours.close()
    made = mounts.new_filesystem(b"proc", b"proc", options, context)
    if files.file_system(made) != files.PROC_SUPER_MAGIC:
        os.close(made)
        raise HostError("proc file system", "the other processes have exchanged it", "they have CAP_SYS_PTRACE")
    return made


def _received(line: _socket.socket) -> int:
    line.settimeout(_PATIENCE)
    try:
        _, passed, _, _ = line.recvmsg(1, _socket.CMSG_SPACE(4))
    except OSError as error:
        raise HostError("proc file system", f"the other pid namespace does not answer: {error}") from error
    if not passed:
        raise HostError("proc file system", "cannot be made in the other pid namespace", "has it ended?")
    with suppress(TimeoutError):
        line.recv(1)  # the end of both: else the one in there would be the host's orphan, and a zombie in there
    return int(struct.unpack("i", passed[0][2][:4])[0])


def _go(line: _socket.socket, pid_namespace: int, arguments: tuple[int, int, int]) -> NoReturn:
    """Leave everything of ours behind, then let a child without rights go in, and wait for its end; see setns(2)."""
    status = 1
    try:
        process.set_parent_death_signal(signal.SIGKILL)
        process.set_dumpable(False)
        own_memory.erase_environment()
        own_memory.set_title(b"tinybox:proc", arguments)
        files.close_range(0, 2)
        files.close_all_but([line.fileno(), pid_namespace])
        process.unshare(process.CLONE_NEWNS)
        mounts.make_private()
        rootfs.place_over(mounts.new_filesystem(b"tmpfs", b"tmpfs", mounts.Options(["ro", "size=0k"])), _EMPTY)
        rootfs.pivot(os.fsencode(_EMPTY))
        process.setns(pid_namespace, process.CLONE_NEWPID)
        os.close(pid_namespace)
        within = process.clone(process.CLONE_NEWUSER | process.CLONE_NEWNS)
        if within == 0:
            process.set_parent_death_signal(signal.SIGKILL)
            passed = struct.pack("i", mount.fsopen(b"proc"))
            line.sendmsg([b"."], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, passed)])
        else:
            os.waitpid(within, 0)
        status = 0
    finally:
        os._exit(status)
