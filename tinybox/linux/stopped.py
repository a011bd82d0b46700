"""Processes that a signal has stopped (state T), and what others wait for because of that: a lock, or an end.

A stopped process keeps its locks and does not reap its children: a process that waits for either waits as long as it
is stopped. SIGSTOP cannot be caught or refused, so the process that waits must continue it. Looking through all of
/proc takes milliseconds: for a wait that has lasted a while. See signal(7), proc_pid_stat(5).
"""

from __future__ import annotations

import os
from contextlib import suppress

from tinybox.linux import proc
from tinybox.linux.signals import signal

GONE = (FileNotFoundError, ProcessLookupError, PermissionError)


def everybody() -> list[proc.Stat]:
    """Return what the kernel says of all processes that we can see; see proc_pid_stat(5)."""
    return [found for name in os.listdir("/proc") if name.isdecimal() and (found := proc.stat_of(int(name)))]


def holds(pid: int, lock: os.stat_result) -> bool:
    """Tell whether process *pid* keeps others from the file *lock*; see "lock" in proc_pid_fdinfo(5)."""
    with suppress(*GONE):
        for fd in os.listdir(f"/proc/{pid}/fd"):
            with suppress(*GONE):
                if os.path.samestat(os.stat(f"/proc/{pid}/fd/{fd}"), lock):
                    with open(f"/proc/{pid}/fdinfo/{fd}", encoding="ascii") as file:
                        if "FLOCK" in file.read():
                            return True
    return False


def namespace(pid: int) -> str:
    """Return which pid namespace process *pid* is in, reaped or not yet; nothing if it is gone; see namespaces(7)."""
    try:
        return os.readlink(f"/proc/{pid}/ns/pid")
    except GONE:
        return ""


def wake(pid: int, states: str = "T", lock: os.stat_result | None = None, number: int = signal.SIGCONT) -> bool:
    """Continue process *pid*, or send it another signal, if it is stopped and, where one is named, holds the *lock*.

    *states* are those that count: ``T``, stopped by a signal; ``t``, by a debugger, which SIGCONT does not end. The
    process is looked at through a pidfd's lifetime, so that no other one can get the signal; see pidfd_open(2).
    """
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
    """Continue the stopped processes that keep others from the file *lock*; tell whether there is one. See flock(2)."""
    found = [wake(each.pid, states, lock, number) for each in everybody() if each.state in states]
    return any(found)


def wake_parents(room: str) -> None:
    """Continue the stopped parents of processes in the pid namespace *room*: it does not end before they have reaped.

    See zap_pid_ns_processes() in the kernel, and pid_namespaces(7).
    """
    found = everybody()
    parents = {each.ppid for each in found if namespace(each.pid) == room}
    for each in found:
        if each.state == "T" and each.pid in parents:
            wake(each.pid)
