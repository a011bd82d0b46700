"""What strace(1) does: a parent that traces its child is told of each system call, at its entry and at its end.

The kernel stops the child at both, and the parent reads number and arguments (PTRACE_GET_SYSCALL_INFO, Linux 5.3).
"""

from __future__ import annotations

import ctypes
import os
import signal
import struct
from typing import TYPE_CHECKING, NamedTuple

from tinybox.errors import SyscallError
from tinybox.linux import process

if TYPE_CHECKING:
    from collections.abc import Callable

TRACEME, SYSCALL, SETOPTIONS, GET_SYSCALL_INFO = 0, 24, 0x4200, 0x420E
TRACESYSGOOD, EXITKILL = 1, 0x100000
AT_CALL = signal.SIGTRAP | 0x80  # with TRACESYSGOOD, what stops a child at a call looks like this
ENTRY = struct.Struct("=B3xIQQQ6Q")  # struct ptrace_syscall_info at an entry: op, arch, ip, sp, nr, args

_libc = ctypes.PyDLL(None, use_errno=True)
_ptrace = _libc["ptrace"]
_ptrace.restype = ctypes.c_long
_ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)


class Call(NamedTuple):
    """One system call at its entry: its number on this machine, its arguments, and the memory of who makes it."""

    number: int
    arguments: tuple[int, ...]
    pid: int

    def word(self, argument: int) -> int:
        """Return the 64-bit word that an argument points to; see /proc/PID/mem in proc(5)."""
        with open(f"/proc/{self.pid}/mem", "rb", buffering=0) as memory:
            memory.seek(self.arguments[argument])
            return int.from_bytes(memory.read(8), "little")


def ptrace(request: int, pid: int = 0, address: int = 0, data: object = None) -> int:
    """Make the call; see ptrace(2)."""
    result: int = _ptrace(request, pid, address, data)
    if result < 0:
        raise SyscallError(ctypes.get_errno(), "ptrace", (request, pid))
    return result


def allowed() -> bool:
    """Tell whether this host lets a parent trace its child; a security module may forbid it; see ptrace(2)."""
    pid = os.fork()
    if pid == 0:
        try:
            ptrace(TRACEME)
        except OSError:
            os._exit(1)
        os._exit(0)
    return os.waitpid(pid, 0)[1] == 0


def traced(act: Callable[[], object], see: Callable[[Call], None]) -> int:
    """Do *act* in a child, and let *see* look at each of its system calls, while it stands still; return its status.

    Its first calls are those that bring it under way; children of its own are not traced. See ptrace(2).
    """
    pid = os.fork()
    if pid == 0:
        process.set_dumpable(True)  # who is hidden cannot be looked into by its tracer either
        ptrace(TRACEME)
        os.kill(os.getpid(), signal.SIGSTOP)
        act()
        os._exit(0)
    os.waitpid(pid, 0)
    ptrace(SETOPTIONS, pid, 0, TRACESYSGOOD | EXITKILL)
    entry, pending = True, 0
    while True:
        ptrace(SYSCALL, pid, 0, pending)
        _, status = os.waitpid(pid, 0)
        if not os.WIFSTOPPED(status):
            return os.waitstatus_to_exitcode(status)
        pending = 0
        if os.WSTOPSIG(status) == AT_CALL:
            if entry:
                see(_entry(pid))
            entry = not entry
        else:
            pending = os.WSTOPSIG(status)


def _entry(pid: int) -> Call:
    buffer = ctypes.create_string_buffer(ENTRY.size)
    ptrace(GET_SYSCALL_INFO, pid, ENTRY.size, ctypes.addressof(buffer))
    _, _, _, _, number, *arguments = ENTRY.unpack(buffer.raw)
    return Call(number, tuple(arguments), pid)
