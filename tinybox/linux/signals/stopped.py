"""Find stopped processes (state T) that block others by a lock or an unreaped child, and continue them with SIGCONT.

A stopped process keeps its locks and does not reap its children, so a process that waits for one of these must wait
until the stopped process continues. A process cannot catch or refuse SIGSTOP, so the waiting process continues it.
Reading all of /proc takes milliseconds: do this only after waiting for a while. See signal(7), proc_pid_stat(5).
"""

from __future__ import annotations

import os
from contextlib import suppress

from tinybox.linux import proc
from tinybox.linux.signals import signal

GONE = (FileNotFoundError, ProcessLookupError, PermissionError)


def everybody() -> list[proc.Stat]:
    """Return the fields of /proc/PID/stat of every process in this /proc; see proc_pid_stat(5)."""
    return [found for name in os.listdir("/proc") if name.isdecimal() and (found := proc.stat_of(int(name)))]


def holds(pid: int, lock: os.stat_result) -> bool:
    """Return whether process *pid* holds a flock(2) lock on the file *lock*; see "lock" in proc_pid_fdinfo(5)."""
    with suppress(*GONE):
        for fd in os.listdir(f"/proc/{pid}/fd"):
            with suppress(*GONE):
                if os.path.samestat(os.stat(f"/proc/{pid}/fd/{fd}"), lock):
                    with open(f"/proc/{pid}/fdinfo/{fd}", encoding="utf-8") as file:
                        if "FLOCK" in file.read():
                            return True
    return False


def namespace(pid: int) -> str:
    """Return the pid namespace of process *pid*, as ``pid:[4026531836]``; "" if it was reaped; see namespaces(7)."""
    try:
        return os.readlink(f"/proc/{pid}/ns/pid")
    except GONE:
        return ""


def wake(pid: int, states: str = "T", lock: os.stat_result | None = None, number: int = signal.SIGCONT) -> bool:
    """Send process *pid* SIGCONT, or the signal *number*, if it is stopped and holds the *lock*, if one is given.

    Returns whether the signal was sent. *states* are the states that count as stopped: ``T``, by a signal; ``t``, by a
    debugger, which SIGCONT does not end. The state is read while a pidfd is open, so that no other process can get the
    signal; see pidfd_open(2). A *pid* of 0 is no process: /proc has it as the parent of a process that is being reaped.
    """
    if pid <= 0:  # EINVAL in pidfd_open(2)
        return False
    try:
        pidfd = os.pidfd_open(pid)
    except GONE:
        return False
    try:
        found = proc.stat_of(pid)
        if found is None or found.state not in states or (lock is not None and not holds(pid, lock)):
            return False
        signal.pidfd_send_signal(pidfd, number)
    except GONE:
        return False
    finally:
        os.close(pidfd)
    return True


def wake_holders(lock: os.stat_result, states: str = "T", number: int = signal.SIGCONT) -> bool:
    """Continue the stopped processes that hold the lock on the file *lock*; return whether there was one; flock(2)."""
    found = [wake(each.pid, states, lock, number) for each in everybody() if each.state in states]
    return any(found)


def wake_parents(room: str) -> None:
    """Continue the stopped parents of processes in the pid namespace *room*.

    The namespace does not end before its processes are reaped by their parents. See zap_pid_ns_processes() in the
    kernel, and pid_namespaces(7).
    """
    found = everybody()
    parents = {each.ppid for each in found if namespace(each.pid) == room}
    for each in found:
        if each.state == "T" and each.pid in parents:
            wake(each.pid)
