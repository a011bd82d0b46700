"""Shared memory by mmap: a file's pages in two address spaces.

With MAP_SHARED both processes have the same pages of the page cache in their page tables: the other process reads a
store at once, without any system call. With MAP_PRIVATE the first store makes a copy of the page, which no other
process sees. /proc/PID/maps shows the kind of mapping, by the letter s or p, and the file, by its inode.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from typing import TYPE_CHECKING

from tinybox.lab import inside, look, tracing
from tinybox.lab.course import Lab

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinybox.lab.bench import Bench

SIZE = 4096  # bytes
BEFORE, AFTER = b"before", b"stored"


def read_twice(path: str) -> None:
    """In the box: map the file *path*, and send its text before and after the host has stored; see mmap(2)."""
    fd = os.open(path, os.O_RDWR)
    memory = mmap.mmap(fd, SIZE, flags=mmap.MAP_SHARED)
    inside.send(memory[: len(BEFORE)].decode())
    inside.receive_line()
    inside.send(memory[: len(AFTER)].decode())
    inside.receive_line()


def mapping(pid: int | str, name: str) -> tuple[str, str]:
    """Return letter and inode of the mapping of the file *name* in a process; see proc_pid_maps(5)."""
    for line in look.text(f"/proc/{pid}/maps").splitlines():
        fields = line.split()
        if fields[-1].endswith(name):
            return fields[1][3], fields[4]
    return "", ""


def calls_of_a_store(memory: mmap.mmap) -> int:
    """Return how many system calls a store makes: those of a traced child that stores, less those of one that waits."""

    def calls(act: Callable[[], object]) -> int:
        seen: list[int] = []
        tracing.traced(act, lambda call: seen.append(call.number))
        return len(seen)

    return min(calls(lambda: memory.__setitem__(SIZE - 1, 0)) - calls(lambda: None) for _ in range(3))


def check(bench: Bench, *, feature: bool) -> None:
    """Map one file on the host and in a box, and store into the host's memory."""
    folder = tempfile.TemporaryDirectory(prefix="tinybox-lab-")
    bench.closing(folder.cleanup)
    path = f"{folder.name}/page"
    with open(path, "wb") as file:
        file.write(BEFORE.ljust(SIZE, b"\0"))
    with open(path, "r+b") as file:
        memory = mmap.mmap(file.fileno(), SIZE, flags=mmap.MAP_SHARED if feature else mmap.MAP_PRIVATE)
    bench.closing(memory.close)

    with bench.box(read_twice, "/shared/page", volume=[f"{folder.name}:/shared"]) as box:
        first = bench.in_box("reads first", box.receive(), "its own memory")
        host_mapping, box_mapping = mapping("self", "/page"), mapping(box.program, "/page")
        bench.on_host("letter, inode", " ".join(host_mapping), "/proc/self/maps")
        bench.in_box("letter, inode", " ".join(box_mapping), f"/proc/{box.program}/maps")
        memory[: len(AFTER)] = bench.on_host("stores", AFTER, "its own memory")
        calls = calls_of_a_store(memory) if tracing.allowed() else None
        bench.on_host("system calls of a store", "not traced" if calls is None else calls, "strace; ptrace(2)")
        box.send_line("look again")
        then = bench.in_box("reads then", box.receive(), "its own memory")
    bench.claim("both map the same inode", host_mapping[1] == box_mapping[1] != "")
    bench.claim("both mappings are shared: the letter s", (host_mapping[0], box_mapping[0]) == ("s", "s"))
    bench.claim("a store is no system call", not calls)
    bench.claim("the box reads what the host has stored", (first, then) == ("before", "stored"))


LAB = Lab(
    question="Host and box map the same file. The host stores six bytes into its memory. What does the box read?",
    answer="The six bytes, at once: both have the same pages. The store is no system call.",
    control="the host maps the file with MAP_PRIVATE: its store goes into a copy, and the box never reads it",
    check=check,
)
