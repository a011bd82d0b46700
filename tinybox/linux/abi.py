"""The one door to the kernel: a system call, declared once with its types, that raises when the kernel says no.

A system call is a number in a register and up to six words beside it; the kernel answers with one word. Everything
else that a container needs is made of such calls, and each of ours passes through here.
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

# PyDLL keeps the interpreter lock, so a child born inside a call wakes up holding it; None is this process's own libc,
# found without ldconfig (find_library starts a process, 12 ms).
_libc = ctypes.PyDLL(None, use_errno=True)

MACHINES = ("x86_64", "aarch64")
NUMBERS = {  # name: (x86-64, aarch64); from 424 on, all machines count alike
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
    "mount_setattr": (442, 442),
}


def number(name: str, machine: str = "") -> int:
    """Return the number of the system call *name* on *machine* (default: this one); see syscalls(2).

    Raises HostError on a machine whose table is not written down here.
    """
    machine = machine or os.uname().machine
    if machine not in MACHINES:
        raise HostError(f"machine {machine}", "its system call numbers are not known", "x86_64 and aarch64 are")
    return NUMBERS[name][MACHINES.index(machine)]


class Syscall:
    """A typed entry point to the kernel, declared once and never changed again; see syscall(2)."""

    def __init__(self, name: str, *argtypes: Any) -> None:
        self.name, self.number = name, number(name)
        self._call = _libc["syscall"]  # a fresh object each time; _libc.syscall would be shared between all calls
        self._call.restype = ctypes.c_long
        self._call.argtypes = (ctypes.c_long, *argtypes)

    def __call__(self, *args: Any) -> int:
        """Make the call; return the kernel's answer, or raise SyscallError with errno(3)."""
        if explain.listeners:
            return self._told(args)
        result: int = self._call(self.number, *args)
        if result < 0:
            raise SyscallError(ctypes.get_errno(), self.name, args)
        return result

    def _told(self, args: tuple[Any, ...]) -> int:
        """Make the call and tell of it, with the time at which it began; a refusal is told as the kernel says it."""
        begun = time.monotonic_ns()
        result: int = self._call(self.number, *args)
        error = ctypes.get_errno() if result < 0 else 0
        explain.tell(self.name, args, -error or result, begun)
        if error:
            raise SyscallError(error, self.name, args)
        return result
