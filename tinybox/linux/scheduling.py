"""Scheduling of a process by the kernel: CPU policy, sched_setattr(2), and disk I/O priority, ioprio_set(2).

Most processes share the processors fairly. A process may also run before all others (SCHED_FIFO), get a fixed time in
each period (SCHED_DEADLINE), or run only when no other process can (SCHED_IDLE).
"""

from __future__ import annotations

import ctypes

from tinybox.linux.abi import Syscall

POLICIES = {
    "SCHED_OTHER": 0,
    "SCHED_FIFO": 1,
    "SCHED_RR": 2,
    "SCHED_BATCH": 3,
    "SCHED_IDLE": 5,
    "SCHED_DEADLINE": 6,
}
FLAGS = {
    "SCHED_FLAG_RESET_ON_FORK": 0x01,
    "SCHED_FLAG_RECLAIM": 0x02,
    "SCHED_FLAG_DL_OVERRUN": 0x04,
    "SCHED_FLAG_KEEP_POLICY": 0x08,
    "SCHED_FLAG_KEEP_PARAMS": 0x10,
    "SCHED_FLAG_UTIL_CLAMP_MIN": 0x20,
    "SCHED_FLAG_UTIL_CLAMP_MAX": 0x40,
}
IOPRIO_CLASSES = {"IOPRIO_CLASS_RT": 1, "IOPRIO_CLASS_BE": 2, "IOPRIO_CLASS_IDLE": 3}
IOPRIO_CLASS_SHIFT = 13
IOPRIO_WHO_PROCESS = 1


class SchedAttr(ctypes.Structure):
    """``struct sched_attr`` of sched_setattr(2), in its first version: 48 bytes."""

    _fields_ = (
        ("size", ctypes.c_uint32),
        ("sched_policy", ctypes.c_uint32),
        ("sched_flags", ctypes.c_uint64),
        ("sched_nice", ctypes.c_int32),
        ("sched_priority", ctypes.c_uint32),
        ("sched_runtime", ctypes.c_uint64),
        ("sched_deadline", ctypes.c_uint64),
        ("sched_period", ctypes.c_uint64),
    )


_sched_setattr = Syscall("sched_setattr", ctypes.c_int, ctypes.POINTER(SchedAttr), ctypes.c_uint)
_ioprio_set = Syscall("ioprio_set", ctypes.c_int, ctypes.c_int, ctypes.c_int)


def sched_setattr(policy: int, flags: int, nice: int, priority: int, times: tuple[int, int, int]) -> None:
    """Set this thread's scheduling; *times*: runtime, deadline and period in nanoseconds; see sched_setattr(2)."""
    attr = SchedAttr(ctypes.sizeof(SchedAttr), policy, flags, nice, priority, *times)
    _sched_setattr(0, ctypes.byref(attr), 0)


def ioprio_set(kind: int, level: int) -> None:
    """Set this thread's I/O scheduling class and its level there, from 0 (first) to 7; see ioprio_set(2)."""
    _ioprio_set(IOPRIO_WHO_PROCESS, 0, kind << IOPRIO_CLASS_SHIFT | level)
