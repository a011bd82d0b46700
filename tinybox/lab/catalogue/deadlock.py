"""Deadlock: two processes each hold the lock that the other one needs.

Each holds one lock and waits for the other, so neither goes on, and neither releases its lock. flock(2) does not
notice: both processes sleep until one is killed. fcntl(2) looks for such circles: the process that would close the
circle gets EDEADLK. Locks belong to files, so they work across all namespaces: here one process is on the host, the
other in a box.
"""

from __future__ import annotations

import errno
import fcntl
import os
from typing import TYPE_CHECKING

from tinybox.lab import inside, look
from tinybox.lab.course import Lab

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinybox.lab.bench import Bench
    from tinybox.lab.box import Box
    from tinybox.lab.guest import Guest

FIRST, SECOND = "/tmp/first", "/tmp/second"


def take_both(paths: list[str], record_locks: bool) -> None:
    """Take the first lock, wait for a line, take the second; send the errno, or 0 if there is no error."""
    lock: Callable[[int, int], None] = fcntl.lockf if record_locks else fcntl.flock
    files = [os.open(path, os.O_CREAT | os.O_RDWR, 0o600) for path in paths]
    lock(files[0], fcntl.LOCK_EX)
    inside.send("has the first")
    inside.receive_line()
    try:
        lock(files[1], fcntl.LOCK_EX)
    except OSError as error:
        inside.send(error.errno)
    else:
        inside.send(0)


def waiting(*pids: int) -> list[str]:
    """Return the lines of /proc/locks in which one of *pids* waits for a lock; see proc_locks(5)."""
    lines = [line for line in look.text("/proc/locks").splitlines() if "->" in line]
    return [line for line in lines if set(line.split()) & {str(pid) for pid in pids}]


def meet(bench: Bench, box: Box, *, record_locks: bool, crosswise: bool) -> tuple[Guest, Guest, int]:
    """Let a process of the host and one of the box take both locks; return both, and how many wait in the end."""
    host_paths = [box.path(FIRST), box.path(SECOND)]
    box_paths = [SECOND, FIRST] if crosswise else [FIRST, SECOND]
    one = bench.keep(bench.process(take_both, host_paths, record_locks))
    one.receive()
    two = box.start(take_both, box_paths, record_locks)
    if crosswise:
        two.receive()
    for each in (one, two):
        each.send_line("and the second")
    bench.until(lambda: len(waiting(one.pid, two.pid)) == 2 or one.ended() or two.ended(), "a wait, or an end")
    return one, two, len(waiting(one.pid, two.pid))


def check(bench: Bench, *, feature: bool) -> None:
    """Let both take the locks crosswise (or in one order), first by flock(2), then by fcntl(2)."""
    with bench.box("sh", "-c", "read line") as box:
        one, two, asleep = meet(bench, box, record_locks=False, crosswise=feature)
        for line in waiting(one.pid, two.pid):
            bench.on_host("waits", line, "grep -e '->' /proc/locks")
        for each in (one, two):
            if not each.ended():
                bench.on_host(f"{each.pid} sleeps in", look.sleeps_in(each.pid), f"/proc/{each.pid}/wchan")
        bench.claim("flock: both sleep, each for the other's lock", asleep == 2)
        one, two, _ = meet(bench, box, record_locks=True, crosswise=feature)
        if not feature:
            two.receive()  # only now does it have the first lock
        answers = [one.receive(), two.receive()]
        names = ["EDEADLK" if answer == errno.EDEADLK else str(answer or "taken") for answer in answers]
        bench.on_host("fcntl's answer", names[0], "F_SETLKW of fcntl(2)")
        bench.in_box("fcntl's answer", names[1], "F_SETLKW of fcntl(2)")
    bench.claim("fcntl: the kernel finds the circle, and one process gets EDEADLK", "EDEADLK" in names)


LAB = Lab(
    question="Two processes take the same two locks in opposite order. What happens with flock, what with fcntl?",
    answer="With flock both sleep for ever. With fcntl the kernel finds the circle: one process gets EDEADLK. The cure"
    " is older than both calls: all processes take the locks in the same order.",
    control="both take the locks in the same order: no deadlock",
    check=check,
)
