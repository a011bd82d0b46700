"""Trace the system calls of a child with ptrace(2), as strace(1) does.

The kernel stops the child at the entry and at the exit of each call, and its parent reads number and arguments of the
call (PTRACE_GET_SYSCALL_INFO, Linux 5.3).
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

TRACEME, CONT, SYSCALL, SETOPTIONS, GET_SYSCALL_INFO = 0, 7, 24, 0x4200, 0x420E
TRACESYSGOOD, TRACEEXEC, EXITKILL = 1, 0x10, 0x100000  # TRACEEXEC: no SIGTRAP after execve(2)
AT_CALL = signal.SIGTRAP | 0x80  # the signal of a stop at a system call, with TRACESYSGOOD
ENTRY = struct.Struct("=B3xIQQQ6Q")  # struct ptrace_syscall_info at an entry: op, arch, ip, sp, nr, args

_libc = ctypes.PyDLL(None, use_errno=True)
_ptrace = _libc["ptrace"]
_ptrace.restype = ctypes.c_long
_ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)


class Call(NamedTuple):
    """One system call at its entry: its number on this machine, its arguments, and the pid of the calling process.

    *instruction* is the address of the instruction that follows the call.
    """

    number: int
    arguments: tuple[int, ...]
    pid: int
    instruction: int

    def word(self, argument: int) -> int:
        """Return the 64-bit word that an argument points to; see /proc/PID/mem in proc(5)."""
        with open(f"/proc/{self.pid}/mem", "rb", buffering=0) as memory:
            memory.seek(self.arguments[argument])
            return int.from_bytes(memory.read(8), "little")


def ptrace(request: int, pid: int = 0, address: int = 0, data: object = None) -> int:
    """Call ptrace(2); SyscallError if it fails."""
    result: int = _ptrace(request, pid, address, data)
    if result < 0:
        raise SyscallError(ctypes.get_errno(), "ptrace", (request, pid))
    return result


def allowed() -> bool:
    """Return whether this host lets a parent trace its child; a security module may forbid it; see ptrace(2)."""
    pid = os.fork()
    if pid == 0:
        try:
            ptrace(TRACEME)
        except OSError:
            os._exit(1)
        os._exit(0)
    return os.waitpid(pid, 0)[1] == 0


def traced(act: Callable[[], object], see: Callable[[Call], None]) -> int:
    """Do *act* in a child, and call *see* for each of its system calls, while it is stopped; return its exit status.

    The first calls belong to the start of the tracing. The child's own children are not traced. See ptrace(2).
    """
    pid = os.fork()
    if pid == 0:
        process.set_dumpable(True)  # the tracer cannot read the memory of a process that is not dumpable
        ptrace(TRACEME)
        os.kill(os.getpid(), signal.SIGSTOP)
        act()
        os._exit(0)
    os.waitpid(pid, 0)
    ptrace(SETOPTIONS, pid, 0, TRACESYSGOOD | TRACEEXEC | EXITKILL)
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
        elif not status >> 16:  # a signal, and not the event of an execve(2)
            pending = os.WSTOPSIG(status)


def _entry(pid: int) -> Call:
    buffer = ctypes.create_string_buffer(ENTRY.size)
    ptrace(GET_SYSCALL_INFO, pid, ENTRY.size, ctypes.addressof(buffer))
    _, _, instruction, _, number, *arguments = ENTRY.unpack(buffer.raw)
    return Call(number, tuple(arguments), pid, instruction)
