"""Find stopped processes (state T) that block others by a lock or an unreaped child, and continue them with SIGCONT.

A stopped process keeps its locks and does not reap its children, so a process that waits for one of these must wait
until the stopped process continues. A process cannot catch or refuse SIGSTOP, so the waiting process continues it.
Reading all of /proc takes milliseconds: do this only after waiting for a while. See signal(7), proc_pid_stat(5).
"""

from __future__ import annotations

import os
import time
from contextlib import suppress

from tinybox.linux import proc
from tinybox.linux.signals import signal

FRESH = 0.2  # seconds for which one look at all processes serves all threads of this process
_last: list[tuple[float, list[proc.Stat]]] = []  # the look before: when it began, and what it found
_looking: set[int] = set()  # the pid of this process, while one of its threads reads /proc


def recently() -> list[proc.Stat]:
    """Return what `everybody` returns, or what another thread has found at most FRESH seconds ago; proc_pid_stat(5).

    `compose down` waits for each of 200 containers in a thread of its own: one of these threads looks for all. While it
    does, the others get the result of the look before; they look again later in any case. The result is only a hint:
    `wake` reads the state again.
    """
    me, now = os.getpid(), time.monotonic()  # the pid: a child of fork(2) has only the thread that forked it
    if me not in _looking and not (_last and now - _last[0][0] < FRESH):
        _looking.add(me)
        try:
            _last[:] = [(now, everybody())]
        finally:
            _looking.discard(me)
    return _last[0][1] if _last else []


def everybody() -> list[proc.Stat]:
    """Return the fields of /proc/PID/stat of every process in this /proc; see proc_pid_stat(5)."""
    return [found for name in os.listdir("/proc") if name.isdecimal() and (found := proc.stat_of(int(name)))]


def holds(pid: int, lock: os.stat_result) -> bool:
    """Return whether process *pid* holds a flock(2) lock on the file *lock*; see "lock" in proc_pid_fdinfo(5)."""
    with suppress(*proc.GONE):
        for fd in os.listdir(f"/proc/{pid}/fd"):
            with suppress(*proc.GONE):
                if os.path.samestat(os.stat(f"/proc/{pid}/fd/{fd}"), lock):
                    with open(f"/proc/{pid}/fdinfo/{fd}", encoding="utf-8") as file:
                        if "FLOCK" in file.read():
                            return True
    return False


def namespace(pid: int) -> str:
    """Return the pid namespace of process *pid*, as ``pid:[4026531836]``; "" if it was reaped; see namespaces(7)."""
    try:
        return os.readlink(f"/proc/{pid}/ns/pid")
    except proc.GONE:
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
    except proc.GONE:
        return False
    try:
        found = proc.stat_of(pid)
        if found is None or found.state not in states or (lock is not None and not holds(pid, lock)):
            return False
        signal.pidfd_send_signal(pidfd, number)
    except proc.GONE:
        return False
    finally:
        os.close(pidfd)
    return True


def wake_holders(lock: os.stat_result, states: str = "T", number: int = signal.SIGCONT) -> bool:
    """Continue the stopped processes that hold the lock on the file *lock*; return whether there was one; flock(2)."""
    found = [wake(each.pid, states, lock, number) for each in recently() if each.state in states]
    return any(found)


def takers(lock: os.stat_result) -> list[int]:
    """Return the pids of the processes that have taken the flock(2) lock on the file *lock*; see proc_locks(5).

    A process may have ended since, and have left the lock to a child. One in a pid namespace that this /proc does not
    show is not found.
    """
    file = f":{lock.st_ino} "
    rows = [line.split() for line in proc.text("/proc/locks").splitlines() if file in line]
    return [int(row[4]) for row in rows if row[1] == "FLOCK"]


def wake_takers(lock: os.stat_result, pids: list[int]) -> None:
    """Continue the stopped processes that hold the flock(2) of the file *lock*, which the processes *pids* have taken.

    Most often these still hold it, and then only they and their children are looked at, not all processes: as many
    processes as wait for the lock do this.
    """
    candidates = list[int]()
    for pid in pids:
        try:
            text = proc.text(f"/proc/{pid}/task/{pid}/children")
        except (*proc.GONE, NotADirectoryError):
            break
        if not holds(pid, lock):
            break
        candidates += [pid, *map(int, text.split())]
    else:
        if candidates:
            for pid in candidates:
                wake(pid, "T", lock)
            return
    if takers(lock) == pids:  # else it has gone on to another process meanwhile
        wake_holders(lock)


def wake_parents(room: str) -> None:
    """Continue the stopped parents of processes in the pid namespace *room*.

    The namespace does not end before its processes are reaped by their parents. See zap_pid_ns_processes() in the
    kernel, and pid_namespaces(7).
    """
    found = recently()
    idle = [each.pid for each in found if each.state == "T"]
    parents = {each.ppid for each in found if namespace(each.pid) == room} if idle else set()
    for pid in parents.intersection(idle):
        wake(pid)
