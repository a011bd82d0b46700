"""Fork: what a child gets from its parent, and what it does not get.

The child is a copy, but not of everything: it has a pid of its own, no pending signals, none of its parent's record
locks, and has used no CPU time yet. Memory, open files, the working directory and the signal mask are its parent's.
"""

from __future__ import annotations

import fcntl
import os
import signal
import struct
import time
from typing import TYPE_CHECKING, Any

from tinybox.lab import inside, look
from tinybox.lab.course import Lab

if TYPE_CHECKING:
    from tinybox.lab.bench import Bench

FILE, OTHER, MEMORY = "/tmp/locked", "/tmp/flocked", ["a word"]
FLOCK = struct.Struct("hhqqi4x")  # struct flock of fcntl(2): type, whence, start, length, pid


def self_portrait(file: int) -> dict[str, Any]:
    """Return the pid, signals, lock, CPU time, memory, directory and file offset of this process."""
    kind, *_, holder = FLOCK.unpack(fcntl.fcntl(file, fcntl.F_GETLK, FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)))
    return {
        "pid": os.getpid(),
        "pending": sorted(map(int, signal.sigpending())),
        "blocked": signal.SIGUSR1 in signal.pthread_sigmask(signal.SIG_BLOCK, ()),
        "lock held by": 0 if kind == fcntl.F_UNLCK else holder,
        "CPU": round(time.process_time(), 3),
        "memory": MEMORY[0],
        "directory": os.getcwd(),
        "offset": os.lseek(file, 0, os.SEEK_CUR),
    }


def flocks(file: int) -> list[str]:
    """Return what flock(2) answers for an inherited descriptor, and for a new one of the same file."""
    answers = []
    for fd in (file, os.open(OTHER, os.O_RDWR)):
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            answers.append("EWOULDBLOCK")
        else:
            answers.append("holds the lock")
    return answers


def have_a_child(forks: bool) -> None:
    """In the box: set up all that a child might inherit; send what this process has, then what the child has."""
    MEMORY[0] = "another word"
    os.chdir("/tmp")
    file = os.open(FILE, os.O_CREAT | os.O_RDWR, 0o600)
    os.write(file, b"seven!!")
    fcntl.lockf(file, fcntl.LOCK_EX)
    flocked = os.open(OTHER, os.O_CREAT | os.O_RDWR, 0o600)
    fcntl.flock(flocked, fcntl.LOCK_EX)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    os.kill(os.getpid(), signal.SIGUSR1)
    while time.process_time() < 0.05:
        continue
    inside.send(self_portrait(file))
    if not forks:
        inside.send(self_portrait(file))
        inside.send(flocks(flocked))
    elif os.fork() == 0:
        inside.send(self_portrait(file))
        inside.send(flocks(flocked))
        os.read(0, 1)
        os._exit(0)
    os.read(0, 1)


def check(bench: Bench, *, feature: bool) -> None:
    """Compare a parent in a box with its child."""
    with bench.box(have_a_child, feature) as box:
        parent, child, (inherited, new) = box.receive(), box.receive(), box.receive()
        pids = [box.program, *look.children(box.program)]
        source = f"grep NSpid /proc/{{{','.join(map(str, pids))}}}/status"
        bench.on_host("NSpid of both", "; ".join(look.status(pid, "NSpid") for pid in pids), source)
    sources = ("getpid(2)", "sigpending(2)", "sigprocmask(2)", "F_GETLK of fcntl(2)", "getrusage(2)", "a variable",
               "getcwd(2)", "lseek(2)")  # fmt: skip
    for name, source in zip(parent, sources, strict=True):
        bench.in_box(name, f"{parent[name]}; the child: {child[name]}", source)
    bench.in_box("flock in the child", f"{inherited}; on a new descriptor {new}", "LOCK_EX | LOCK_NB of flock(2)")
    bench.text_says(
        "a child does not inherit locks",
        f"by an inherited descriptor it {inherited} of flock(2); by a new one: {new}",
        refuted=(inherited, new) == ("holds the lock", "EWOULDBLOCK"),
    )
    bench.claim("the child has a pid of its own", child["pid"] != parent["pid"])
    bench.claim("no signal is pending for it", parent["pending"] == [signal.SIGUSR1] and not child["pending"])
    bench.claim("it does not hold its parent's lock: the lock keeps it out", child["lock held by"] == parent["pid"])
    bench.claim("it has used no CPU time yet", child["CPU"] < parent["CPU"] / 2)
    kept = ("blocked", "memory", "directory", "offset")
    bench.claim("mask, memory, directory and files are as its parent's", all(child[key] == parent[key] for key in kept))


LAB = Lab(
    question="A process has a pending signal, a lock, an open file and has used CPU time. It forks."
    " Which of these does the child have?",
    answer="The open file with its offset and its flock lock, the signal mask, the memory, the directory. Not the"
    " pending signal, not the fcntl lock, not the CPU time, and not the pid: fork(2) lists all differences.",
    control="no fork: the same process reports twice",
    check=check,
)
