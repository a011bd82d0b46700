"""Give this process attributes that few processes have, and execute the command in the arguments.

Use: python odd_caller.py COMMAND...; what the host's root may not set is left out.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys

PRCTL, IOPRIO_SET, SET_MEMPOLICY, PERSONALITY = (
    (157, 251, 238, 135) if os.uname().machine == "x86_64" else (167, 30, 237, 92)
)
ADDR_NO_RANDOMIZE = 0x0040000
SHOW = """cd /proc/self
grep -E 'Cpus_allowed_list|SigBlk|THP_enabled' status
for name in oom_score_adj personality coredump_filter timerslack_ns; do echo $name: $(cat $name); done
echo nice: $(cut -d' ' -f19 stat)
echo umask: $(umask)
echo memory: $(head -1 numa_maps | cut -d' ' -f2)"""


def become_odd() -> None:
    """Set one processor, a nice value, and others; the signals HUP and CHLD are ignored, USR1 is blocked."""
    libc = ctypes.CDLL(None)
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    os.setpriority(os.PRIO_PROCESS, 0, 7)
    os.umask(0o077)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for name, text in (("oom_score_adj", "321"), ("coredump_filter", "0x7f")):
        with contextlib.suppress(OSError), open(f"/proc/self/{name}", "w", encoding="ascii") as file:
            file.write(text)
    node = (ctypes.c_ulong * 1)(1)
    libc.syscall(PERSONALITY, ADDR_NO_RANDOMIZE)
    libc.syscall(IOPRIO_SET, 1, 0, 2 << 13 | 6)
    libc.syscall(PRCTL, 29, 123456, 0, 0, 0)  # PR_SET_TIMERSLACK
    libc.syscall(PRCTL, 41, 1, 0, 0, 0)  # PR_SET_THP_DISABLE
    libc.syscall(SET_MEMPOLICY, 2, node, 64)  # MPOL_BIND to node 0


if __name__ == "__main__":
    become_odd()
    os.execvp(sys.argv[1], sys.argv[1:])
