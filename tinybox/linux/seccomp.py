"""seccomp(2): load a filter, a small program that the kernel runs before each system call of the process.

The program gets the call's number, the machine's name and the six arguments as integers, never the memory behind a
pointer. It returns one integer: allow the call, refuse it with an errno, or kill the process. A process may add more
filters, and cannot remove one.
"""

from __future__ import annotations

import ctypes
import errno
import struct

from tinybox.errors import SyscallError
from tinybox.linux.abi import Syscall

SECCOMP_SET_MODE_FILTER = 1
SECCOMP_GET_ACTION_AVAIL = 2

SECCOMP_FILTER_FLAG_TSYNC = 1 << 0
SECCOMP_FILTER_FLAG_LOG = 1 << 1
SECCOMP_FILTER_FLAG_SPEC_ALLOW = 1 << 2
SECCOMP_FILTER_FLAG_NEW_LISTENER = 1 << 3
SECCOMP_FILTER_FLAG_TSYNC_ESRCH = 1 << 4
SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV = 1 << 5  # Linux 5.19

# The return values of a filter, the strictest first; the lower 16 bits are data, such as the errno.
SECCOMP_RET_KILL_PROCESS = 0x80000000
SECCOMP_RET_KILL_THREAD = 0x00000000
SECCOMP_RET_TRAP = 0x00030000
SECCOMP_RET_ERRNO = 0x00050000
SECCOMP_RET_USER_NOTIF = 0x7FC00000
SECCOMP_RET_TRACE = 0x7FF00000
SECCOMP_RET_LOG = 0x7FFC0000
SECCOMP_RET_ALLOW = 0x7FFF0000
SECCOMP_RET_DATA = 0x0000FFFF

# What ``seccomp_data.arch`` holds: the ELF machine, with a bit for 64 bits and one for little-endian; linux/audit.h.
AUDIT_ARCH_X86_64 = 0xC000003E
AUDIT_ARCH_I386 = 0x40000003
AUDIT_ARCH_AARCH64 = 0xC00000B7

# ``struct seccomp_data``: the offset of each field. An argument has 64 bits, its lower half first on these machines.
NR, ARCH, ARGS = 0, 4, 16

# Classic BPF, without what seccomp(2) forbids: one accumulator, forward jumps, no memory; linux/filter.h.
BPF_LD_W_ABS = 0x20  # accumulator = the 32-bit word at offset k of seccomp_data
BPF_LD_IMM = 0x00  # accumulator = k
BPF_AND_K = 0x54  # accumulator &= k
BPF_JA = 0x05  # jump k instructions on, however far
BPF_JEQ_K = 0x15  # jump jt instructions on if accumulator == k, else jf
BPF_JGT_K = 0x25  # the same for >, without sign
BPF_JGE_K = 0x35  # the same for >=
BPF_RET_K = 0x06  # return k
BPF_MAXINSNS = 4096

_sock_filter = struct.Struct("=HBBI")  # code, jt, jf, k


class SockFprog(ctypes.Structure):
    """``struct sock_fprog`` of seccomp(2): the number of instructions, and their address."""

    _fields_ = (("len", ctypes.c_ushort), ("filter", ctypes.c_char_p))


_seccomp = Syscall("seccomp", ctypes.c_uint, ctypes.c_uint, ctypes.c_void_p)


def sock_filter(code: int, k: int, jt: int = 0, jf: int = 0) -> bytes:
    """Return one instruction of eight bytes, ``struct sock_filter``; see seccomp(2)."""
    return _sock_filter.pack(code, jt, jf, k)


def set_mode_filter(program: bytes | None, flags: int = 0) -> int:
    """Add *program* as a filter of this thread and its later children; it cannot be removed; see seccomp(2).

    Returns 0, or with SECCOMP_FILTER_FLAG_NEW_LISTENER the listener's fd (close-on-exec). EACCES: the thread has
    neither no_new_privs nor CAP_SYS_ADMIN; EINVAL: the kernel refuses the program or the flags; EBUSY: there is a
    listener already; EFAULT: the program is None, and the flags are known.
    """
    if program is None:
        return _seccomp(SECCOMP_SET_MODE_FILTER, flags, None)
    fprog = SockFprog(len(program) // _sock_filter.size, program)
    return _seccomp(SECCOMP_SET_MODE_FILTER, flags, ctypes.byref(fprog))


def action_available(action: int) -> bool:
    """Return whether this kernel knows the return value *action*, a SECCOMP_RET_*; see seccomp(2).

    A kernel treats an unknown return value as SECCOMP_RET_KILL_PROCESS, so a filter must not use one.
    """
    try:
        _seccomp(SECCOMP_GET_ACTION_AVAIL, 0, ctypes.byref(ctypes.c_uint32(action)))
    except SyscallError as error:
        if error.errno != errno.EOPNOTSUPP:
            raise
        return False
    return True
