"""Deadlock: two hold what the other one wants.

Each has one lock and waits for the second, so neither can go on, and neither gives back. flock(2) does not notice:
both sleep until somebody kills one. fcntl(2) looks for such circles: the one who would close the circle gets EDEADLK.
Locks belong to files, and so reach across every namespace: here one of the two is on the host, the other in a box.
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
    """Take two locks, one after the other, the second when we are told; tell the error, 0 if there is none."""
    lock: Callable[[int, int], None] = fcntl.lockf if record_locks else fcntl.flock
    files = [os.open(path, os.O_CREAT | os.O_RDWR, 0o600) for path in paths]
    lock(files[0], fcntl.LOCK_EX)
    inside.tell("has the first")
    inside.listen()
    try:
        lock(files[1], fcntl.LOCK_EX)
    except OSError as error:
        inside.tell(error.errno)
    else:
        inside.tell(0)


def waiting(*pids: int) -> list[str]:
    """Return the lines of /proc/locks that say that one of *pids* waits; see proc_locks(5)."""
    lines = [line for line in look.text("/proc/locks").splitlines() if "->" in line]
    return [line for line in lines if set(line.split()) & {str(pid) for pid in pids}]


def meet(bench: Bench, box: Box, *, record_locks: bool, crosswise: bool) -> tuple[Guest, Guest, int]:
    """Let a process of the host and one of the box take both locks; return them, and how many wait in the end."""
    ours = [box.path(FIRST), box.path(SECOND)]
    theirs = [SECOND, FIRST] if crosswise else [FIRST, SECOND]
    one = bench.keep(bench.process(take_both, ours, record_locks))
    one.hear()
    two = box.start(take_both, theirs, record_locks)
    if crosswise:
        two.hear()
    for each in (one, two):
        each.say("and the second")
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
        for each in (one, two):
            each.end()
        one, two, _ = meet(bench, box, record_locks=True, crosswise=feature)
        if not feature:
            two.hear()  # only now has it the first
        answers = [one.hear(), two.hear()]
        names = ["EDEADLK" if answer == errno.EDEADLK else str(answer or "taken") for answer in answers]
        bench.on_host("fcntl's answer", names[0], "F_SETLKW of fcntl(2)")
        bench.in_box("fcntl's answer", names[1], "F_SETLKW of fcntl(2)")
    bench.claim("fcntl: the kernel finds the circle, and tells one of them: EDEADLK", "EDEADLK" in names)


LAB = Lab(
    question="Two processes take the same two locks in opposite order. What happens with flock, what with fcntl?",
    answer="With flock both sleep for ever. With fcntl the kernel sees the circle: one of them gets EDEADLK. The cure"
    " is older than both: everyone takes the locks in one order.",
    control="both take the locks in one order: no deadlock",
    check=check,
)
