"""Read the figures of a process from /proc, by the numbers and names of fields in proc(5), as a student can do, too.

For a process that is gone, the functions raise FileNotFoundError or ProcessLookupError, as proc.text() does.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tinybox.linux import proc

if TYPE_CHECKING:
    from collections.abc import Callable


def text(path: str) -> str:
    """Return the text of a file of /proc, without its last newline."""
    return proc.text(path).rstrip("\n")


def status(pid: int | str, name: str) -> str:
    """Return the value of one line of /proc/PID/status, such as NSpid; empty if it has none; see proc_pid_status(5)."""
    return proc.status(text(f"/proc/{pid}/status")).get(name, "")


def stat(pid: int | str, number: int) -> str:
    """Return the field of this *number* of /proc/PID/stat, counted from 1; see proc_pid_stat(5)."""
    head, _, rest = text(f"/proc/{pid}/stat").rpartition(") ")
    return (*head.split(" (", 1), *rest.split())[number - 1]


def children(pid: int) -> list[int]:
    """Return the children of a process of one thread, eldest first; see proc_tid_children(5)."""
    return [int(child) for child in text(f"/proc/{pid}/task/{pid}/children").split()]


def state(pid: int | str) -> str:
    """Return the letter that ps(1) shows (R S D T t Z), X when there is no such process; see proc_pid_stat(5)."""
    try:
        return stat(pid, 3)
    except (FileNotFoundError, ProcessLookupError):
        return "X"


def seconds(pid: int | str) -> float:
    """Return the CPU time of a process in seconds: utime and stime, fields 14 and 15; see proc_pid_stat(5)."""
    return (int(stat(pid, 14)) + int(stat(pid, 15))) / os.sysconf("SC_CLK_TCK")


def sleeps_in(pid: int) -> str:
    """Return the kernel function in which a process sleeps; "0" while it runs; see proc_pid_wchan(5)."""
    return text(f"/proc/{pid}/wchan")


def signals(pid: int | str, name: str) -> set[int]:
    """Return the signal numbers in a mask of /proc/PID/status: SigIgn, SigCgt, SigBlk, ShdPnd; proc_pid_status(5)."""
    mask = int(status(pid, name), 16)
    return {number for number in range(1, 65) if mask >> (number - 1) & 1}


def asleep(pid: int, function: str = "") -> Callable[[], bool]:
    """Return a function for Bench.until() that tests whether a process sleeps (in a kernel function of this name)."""
    return lambda: state(pid) in "SD" and function in sleeps_in(pid)
