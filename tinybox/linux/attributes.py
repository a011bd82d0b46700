"""Attributes that a process inherits from its parent, and keeps over execve(2): read them, and set their defaults.

The functions that take a pid change another process, which needs rights of the host's root; the others change this one.
"""

from __future__ import annotations

import ctypes
import os

from tinybox.linux import proc, process, scheduling
from tinybox.linux.abi import Syscall
from tinybox.linux.filesystem import files

PR_GET_SECUREBITS, PR_SET_SECUREBITS = 27, 28
PR_SET_TIMERSLACK, PR_GET_TIMERSLACK = 29, 30
PR_SET_THP_DISABLE, PR_GET_THP_DISABLE = 41, 42
PER_QUERY = 0xFFFFFFFF  # personality(2) returns the present value
PROCESSORS = 8192  # the most that a kernel supports; it ignores those that a machine does not have
TIMER_SLACK = 50_000  # nanoseconds: the kernel's default
CORE_FILTER = "33"  # hexadecimal: the kernel's default; see core(5)

_NODES = 1024  # no kernel is built for more: MAX_NUMNODES

_ioprio_get = Syscall("ioprio_get", ctypes.c_int, ctypes.c_int)
_ioprio_set = Syscall("ioprio_set", ctypes.c_int, ctypes.c_int, ctypes.c_int)
_get_mempolicy = Syscall("get_mempolicy", ctypes.POINTER(ctypes.c_int), *[ctypes.c_ulong] * 4)
_set_mempolicy = Syscall("set_mempolicy", ctypes.c_int, ctypes.c_void_p, ctypes.c_ulong)
_prctl = Syscall("prctl", ctypes.c_int, *[ctypes.c_ulong] * 4)


def is_bound() -> bool:
    """Return whether this process may not use all processors that are on; see sched_getaffinity(2)."""
    return len(os.sched_getaffinity(0)) < (os.cpu_count() or 1)


def unbind(pid: int) -> None:
    """Let *pid* use all processors of its control group; see sched_setaffinity(2)."""
    os.sched_setaffinity(pid, range(PROCESSORS))


def has_priority() -> bool:
    """Return whether this process has another nice value than 0, or a scheduling policy; see sched(7)."""
    return os.getpriority(os.PRIO_PROCESS, 0) != 0 or os.sched_getscheduler(0) != os.SCHED_OTHER


def reset_priority(pid: int) -> None:
    """Give *pid* the default scheduling policy, and the nice value 0; see sched_setscheduler(2) and setpriority(2)."""
    os.sched_setscheduler(pid, os.SCHED_OTHER, os.sched_param(0))
    os.setpriority(os.PRIO_PROCESS, pid, 0)


def has_io_priority() -> bool:
    """Return whether this process has an I/O priority of its own; see ioprio_set(2)."""
    return _ioprio_get(scheduling.IOPRIO_WHO_PROCESS, 0) >> scheduling.IOPRIO_CLASS_SHIFT != 0


def reset_io_priority(pid: int) -> None:
    """Let the I/O priority of *pid* follow from its nice value; see ioprio_set(2)."""
    _ioprio_set(scheduling.IOPRIO_WHO_PROCESS, pid, 0)


def has_oom_score() -> bool:
    """Return whether the OOM killer prefers or spares this process; see proc_pid_oom_score_adj(5)."""
    return _own("oom_score_adj") != "0"


def reset_oom_score(pid: int) -> None:
    """Let the OOM killer treat *pid* as any other process; see proc_pid_oom_score_adj(5)."""
    files.write_once(os.open(f"/proc/{pid}/oom_score_adj", os.O_WRONLY | os.O_CLOEXEC), b"0")


def has_core_filter() -> bool:
    """Return whether the core files of this process have other parts than usual; see core(5)."""
    return int(_own("coredump_filter") or CORE_FILTER, 16) != int(CORE_FILTER, 16)


def reset_core_filter(pid: int) -> None:
    """Let the core files of *pid* have the usual parts; see core(5)."""
    files.write_once(os.open(f"/proc/{pid}/coredump_filter", os.O_WRONLY | os.O_CLOEXEC), f"0x{CORE_FILTER}".encode())


def has_personality() -> bool:
    """Return whether this process has flags such as ADDR_NO_RANDOMIZE, or another domain; see personality(2)."""
    return process.personality(PER_QUERY) != process.PER_LINUX


def has_timer_slack() -> bool:
    """Return whether this process's timers have another slack than usual; see PR_SET_TIMERSLACK in prctl(2)."""
    return _prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0) != TIMER_SLACK


def reset_timer_slack() -> None:
    """Give this process's timers the usual slack; see PR_SET_TIMERSLACK in prctl(2)."""
    _prctl(PR_SET_TIMERSLACK, TIMER_SLACK, 0, 0, 0)


def has_no_huge_pages() -> bool:
    """Return whether this process may not have transparent huge pages; see PR_SET_THP_DISABLE in prctl(2)."""
    return _prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0) != 0


def reset_huge_pages() -> None:
    """Let this process have transparent huge pages; see PR_SET_THP_DISABLE in prctl(2)."""
    _prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0)


def has_secure_bits() -> bool:
    """Return whether root has other capabilities than usual in this process; see "securebits" in capabilities(7)."""
    return _prctl(PR_GET_SECUREBITS, 0, 0, 0, 0) != 0


def reset_secure_bits() -> None:
    """Give root its usual capabilities in this process; EPERM: the bits are locked; see capabilities(7)."""
    _prctl(PR_SET_SECUREBITS, 0, 0, 0, 0)


def has_memory_policy() -> bool:
    """Return whether this process gets its memory from certain nodes, as with numactl; see get_mempolicy(2)."""
    mode = ctypes.c_int(0)
    _get_mempolicy(ctypes.byref(mode), 0, 0, 0, 0)
    return mode.value != 0


def reset_memory_policy() -> None:
    """Let this process get its memory from the nearest node; see set_mempolicy(2)."""
    _set_mempolicy(0, None, 0)


def set_memory_policy(mode: int, nodes: int) -> None:
    """Set the memory policy *mode*, an MPOL_* with its flags, for the *nodes*, bits of a mask; see set_mempolicy(2)."""
    mask = ctypes.create_string_buffer(nodes.to_bytes(_NODES // 8, "little"))
    _set_mempolicy(mode, mask if nodes else None, _NODES + 1 if nodes else 0)


def _own(name: str) -> str:
    return proc.text(f"/proc/self/{name}").strip()
