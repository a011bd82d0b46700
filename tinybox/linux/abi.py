"""System calls through ctypes: each is declared once with its argument types, and raises SyscallError on failure.

A system call is a number in a register and up to six arguments in other registers; the kernel returns one register.
Python's own library makes some of the system calls of tinybox; every other one passes through this file.
"""

from __future__ import annotations

import ctypes
import os
import time

from tinybox import explain
from tinybox.errors import HostError, SyscallError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# PyDLL keeps the interpreter lock during a call, so a child made by clone3(2) holds the lock, too. None means the libc
# that this process has loaded already: find_library would start ldconfig, which takes 12 ms.
_libc = ctypes.PyDLL(None, use_errno=True)

MACHINES = ("x86_64", "aarch64")
NUMBERS = {  # name: (x86-64, aarch64); from 424 on, the numbers are the same on all machines
    "mmap": (9, 222),
    "mprotect": (10, 226),
    "munmap": (11, 215),
    "clone": (56, 220),
    "shmget": (29, 194),
    "shmat": (30, 196),
    "shmctl": (31, 195),
    "semget": (64, 190),
    "semop": (65, 193),
    "semctl": (66, 191),
    "shmdt": (67, 197),
    "capget": (125, 90),
    "capset": (126, 91),
    "fstatfs": (138, 44),
    "pivot_root": (155, 41),
    "prctl": (157, 167),
    "mount": (165, 40),
    "umount2": (166, 39),
    "setdomainname": (171, 162),
    "keyctl": (250, 219),
    "ioprio_set": (251, 30),
    "ioprio_get": (252, 31),
    "set_mempolicy": (238, 237),
    "get_mempolicy": (239, 236),
    "sched_setattr": (314, 274),
    "personality": (135, 92),
    "inotify_add_watch": (254, 27),
    "inotify_init1": (294, 26),
    "signalfd4": (289, 74),
    "setns": (308, 268),
    "seccomp": (317, 277),
    "bpf": (321, 280),
    "unshare": (272, 97),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "clone3": (435, 435),
    "close_range": (436, 436),
    "openat2": (437, 437),
    "pidfd_getfd": (438, 438),
    "faccessat2": (439, 439),
    "mount_setattr": (442, 442),
}


def number(name: str, machine: str = "") -> int:
    """Return the number of the system call *name* on *machine* (default: this one); see syscalls(2).

    HostError: NUMBERS has no column for that machine.
    """
    machine = machine or os.uname().machine
    if machine not in MACHINES:
        raise HostError(f"machine {machine}", "its system call numbers are not known", "x86_64 and aarch64 are")
    return NUMBERS[name][MACHINES.index(machine)]


class Syscall:
    """A system call with its argument types, declared once at import and called like a function; see syscall(2)."""

    def __init__(self, name: str, *argtypes: Any) -> None:
        self.name, self.number = name, number(name)
        self._call = _libc["syscall"]  # a new object each time; _libc.syscall would be shared between all calls
        self._call.restype = ctypes.c_long
        self._call.argtypes = (ctypes.c_long, *argtypes)

    def __call__(self, *args: Any) -> int:
        """Make the call and return its result; SyscallError with the errno(3): the kernel refused it."""
        if explain.listeners:
            return self._call_and_report(args)
        result: int = self._call(self.number, *args)
        if result < 0:
            raise SyscallError(ctypes.get_errno(), self.name, args)
        return result

    def _call_and_report(self, args: tuple[Any, ...]) -> int:
        """Make the call and report it to the listeners with its start time; an error is reported as -errno."""
        begun = time.monotonic_ns()
        result: int = self._call(self.number, *args)
        error = ctypes.get_errno() if result < 0 else 0
        explain.report(self.name, args, -error or result, begun)
        if error:
            raise SyscallError(error, self.name, args)
        return result
