"""IPC by a semaphore: decrement a counter, or sleep until another process increments it.

A semaphore is a counter in the kernel. P takes one from it; a process that finds zero sleeps until another process does
V, which adds one. Like shared memory, a semaphore belongs to an IPC namespace. If host and box share that, a process of
the host can wait for a box.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tinybox.lab import inside, look
from tinybox.lab.course import Lab
from tinybox.linux import sysv

if TYPE_CHECKING:
    from tinybox.lab.bench import Bench

TABLE = "/proc/sysvipc/sem"
COUNT = 3


def value(key: int) -> int | None:
    """In the box: return the value of the semaphore of *key*, None if there is none; see semctl(2)."""
    try:
        return sysv.semctl_get(sysv.semget(key))
    except FileNotFoundError:
        return None


def look_for(key: int) -> None:
    """In the box: send the value of the semaphore."""
    inside.send([value(key)])


def take_all_and_give_one(key: int) -> None:
    """In the box: do P until the counter is zero; after a line from the lab, do V once; see semop(2)."""
    semid = sysv.semget(key)
    for _ in range(COUNT):
        sysv.semop(semid, -1)
    inside.send(value(key))
    inside.receive_line()
    sysv.semop(semid, +1)
    inside.receive_line()


def take_one(key: int) -> str:
    """On the host: do P, which sleeps until the counter is above zero; see semop(2)."""
    sysv.semop(sysv.semget(key), -1)
    return "through"


def check(bench: Bench, *, feature: bool) -> None:
    """Let a box with its own IPC namespace look for the host's semaphore; let another box make the host wait."""
    key = 0x7C000000 | os.getpid()
    semid = sysv.semget(key, 1, sysv.IPC_CREAT | sysv.IPC_EXCL | 0o600)
    bench.closing(lambda: sysv.semctl_remove(semid))
    sysv.semctl_set(semid, COUNT)
    bench.on_host("value", sysv.semctl_get(semid), f"GETVAL of {key:#x}; {TABLE}")
    with bench.box(look_for, key, ipc="private" if feature else "host") as box:
        separate = bench.in_box("value", box.receive()[0], "GETVAL of the same key, own IPC namespace")

    with bench.box(take_all_and_give_one, key, ipc="host") as box:
        left = bench.in_box("value after P, P, P", box.receive(), "GETVAL, shared IPC namespace")
        with bench.process(take_one, key) as waiting:
            asleep = bench.comes(look.asleep(waiting.pid, "semtimedop"))
            where = look.sleeps_in(waiting.pid)
            bench.on_host("a fourth P sleeps in", where, f"/proc/{waiting.pid}/wchan")
            box.send_line("V, please")
            through = bench.on_host("after V in the box", waiting.receive(), "semop(2) has returned")

    bench.claim("a box with its own IPC namespace has no such semaphore", separate is None)
    bench.claim("a box that shares the host's namespace takes from the same counter", left == 0)
    bench.claim("while the counter is zero, a process of the host sleeps in P", asleep)
    bench.claim("V in the box wakes it", through == "through")


LAB = Lab(
    question="A semaphore of the host has the value 3. A box does P three times. What happens to a process of the host"
    " that does P then?",
    answer="If box and host share the IPC namespace, it sleeps until the box does V. A box with an IPC namespace of its"
    " own has no such semaphore.",
    control="the first box shares the host's IPC namespace, too (--ipc host): it finds the semaphore",
    check=check,
)
