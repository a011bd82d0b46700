"""Confinement: the seccomp filter and the capability that it needs, given up last of all before a program is executed.

After the filter is installed, it judges the calls of tinybox, too, and a profile lists only those of the program. So
the filter comes last: the trampoline (machine_code/trampoline.py) installs it and makes only execve(2) after it.
Without no_new_privs, seccomp(2) needs CAP_SYS_ADMIN: the process keeps that capability until the filter is installed.
"""

from __future__ import annotations

import errno
import os

from tinybox import explain
from tinybox.errors import StepError, SyscallError
from tinybox.isolation.seccomp import filters
from tinybox.linux import capability, process, seccomp
from tinybox.linux.machine_code import trampoline

INSTALLER = capability.mask(["CAP_SYS_ADMIN"])

# What PID 1 needs while it waits for the program: signals, the ends of processes, memory of Python, the clock, open
# pipes, the open socket of --explain, and its own end; and to become the native init: execve, execveat, prctl, capget,
# or mmap, mprotect, munmap and rseq
_CALLS_OF_PID_1 = {
    "x86_64": (
        seccomp.AUDIT_ARCH_X86_64,
        (
            0,
            1,
            3,
            9,
            10,
            11,
            12,
            13,
            14,
            15,
            25,
            28,
            44,
            45,
            59,
            61,
            62,
            125,
            126,
            128,
            157,
            202,
            219,
            228,
            231,
            247,
            322,
            334,
        ),
    ),
    "aarch64": (
        seccomp.AUDIT_ARCH_AARCH64,
        (
            57,
            63,
            64,
            91,
            94,
            95,
            98,
            113,
            128,
            129,
            134,
            135,
            137,
            139,
            167,
            206,
            207,
            214,
            215,
            216,
            221,
            222,
            226,
            233,
            260,
            281,
            293,
        ),
    ),
}


class Confinement:
    """The filter *program* and its *flags*; *sets* are the final effective, permitted and inheritable capabilities.

    *sets* is None with no_new_privs: then the process has them already. *early*: a step of the plan installs the
    filter; otherwise the trampoline does, whose own sets are *passed* (permitted, inheritable).
    """

    def __init__(
        self,
        program: bytes,
        flags: int,
        sets: tuple[int, int, int] | None,
        passed: tuple[int, int] = (0, 0),
        *,
        early: bool = False,
    ) -> None:
        self.program, self.flags, self.sets, self.passed, self.early = program, flags, sets, passed, early

    def needed(self) -> int:
        """Return the mask of the capability that is needed until the filter is installed."""
        return 0 if self.sets is None else INSTALLER

    def remove(self, rights: int) -> None:
        """Remove the capabilities in the mask *rights* from the final sets."""
        if self.sets is not None:
            effective, permitted, inheritable = self.sets
            self.sets = effective & ~rights, permitted & ~rights, inheritable & ~rights
        self.passed = self.passed[0] & ~rights, self.passed[1] & ~rights

    def comes_late(self) -> bool:
        """Return whether the trampoline carries it out, and no step of the plan."""
        return not self.early and bool(self.program or self.sets)

    def lock(self, gate: int) -> trampoline.Lock | None:
        """Return what the trampoline has to give up; it waits at the fd *gate* first, if that is open."""
        if not self.comes_late():
            return None
        return trampoline.Lock(gate, self.program, self.flags, None if self.sets is None else self.passed)

    def install(self) -> int:
        """Install the filter in this process, and give up the capability for that; return as filters.install() does."""
        return self._install(self.program, self.flags)

    def relinquish(self) -> None:
        """Do the same in PID 1, which has started the program, with a filter that allows it only to wait for others.

        PID 1 executes nothing more but the native init: so it may set no_new_privs, if it lacks the capability. Its
        calls are not reported, nor are those of the trampoline, which waits, and makes the same ones for the program.
        """
        listeners = explain.listeners[:]
        explain.listeners.clear()
        self._install(of_pid_1(os.uname().machine) if self.program else b"", 0)
        explain.listeners.extend(listeners)

    def _install(self, program: bytes, flags: int) -> int:
        effective, permitted, inheritable = capability.capget()
        if self.sets is not None and permitted & INSTALLER:
            capability.capset(effective | INSTALLER, permitted, inheritable)
        elif program:
            process.set_no_new_privs()  # the other way to be allowed to
        listener = filters.install(program, flags) if program else 0
        if self.sets is not None:
            capability.capset(*self.sets)
        return listener


def check_flags(flags: int) -> None:
    """Raise StepError if this kernel does not know the *flags* of a filter; see seccomp(2).

    The kernel checks them first. Then it reads the filter, of which there is none: EFAULT.
    """
    try:
        seccomp.set_mode_filter(None, flags)
    except SyscallError as error:
        if error.errno != errno.EFAULT:
            raise StepError("seccomp", f"seccomp: {error.strerror}", "see linux.seccomp.flags") from error


def of_pid_1(machine: str) -> bytes:
    """Return PID 1's own filter: it can wait for processes and signals, send signals, and end; see seccomp(2)."""
    architecture, numbers = _CALLS_OF_PID_1[machine]
    instruction = seccomp.sock_filter
    refuse = instruction(seccomp.BPF_RET_K, seccomp.SECCOMP_RET_ERRNO | errno.EPERM)
    allow = instruction(seccomp.BPF_RET_K, seccomp.SECCOMP_RET_ALLOW)
    tests = [
        instruction(seccomp.BPF_JEQ_K, number, jt=len(numbers) - position) for position, number in enumerate(numbers)
    ]
    return b"".join([
        instruction(seccomp.BPF_LD_W_ABS, seccomp.ARCH),
        instruction(seccomp.BPF_JEQ_K, architecture, jf=len(numbers) + 1),
        instruction(seccomp.BPF_LD_W_ABS, seccomp.NR),
        *tests,
        refuse,
        allow,
    ])  # fmt: skip
