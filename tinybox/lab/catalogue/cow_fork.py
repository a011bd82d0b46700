"""Copy-on-write of memory: fork copies nothing; Redis's snapshot.

After fork(2) parent and child have the same pages, marked read-only. The process that stores into a page first gets a
copy of that page, by a page fault. So a child that only reads costs no memory, and what it sees does not change: it is
a snapshot. But each page that the parent writes while the snapshot lives exists twice.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import struct
from typing import TYPE_CHECKING

from tinybox.lab import inside, look
from tinybox.lab.course import Lab
from tinybox.pictures.series import Cells

if TYPE_CHECKING:
    from tinybox.lab.bench import Bench

SIZE = 16 << 20  # bytes
PAGE = mmap.PAGESIZE
PAGES = SIZE // PAGE
ENTRY, FRAME = 8, (1 << 55) - 1  # bytes of an entry in pagemap; its bits with the number of the frame
MIB = 1024  # in the kilobytes of smaps_rollup


def data_dirty(memory: mmap.mmap) -> int:
    """Return how many kilobytes of *memory* are private to this process: Private_Dirty; see proc_pid_smaps(5)."""
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    mapping = look.text("/proc/self/smaps").partition(f"{start:x}-")[2]
    return int(mapping.partition("Private_Dirty:")[2].split()[0])


def rollup(pid: int | str, name: str) -> int:
    """Return one line of /proc/PID/smaps_rollup in kilobytes; see proc_pid_smaps(5)."""
    for line in look.text(f"/proc/{pid}/smaps_rollup").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    raise KeyError(name)


def faults() -> int:
    """Return the number of page faults of this process without disk access: minflt, field 10; see proc_pid_stat(5)."""
    return int(look.stat("self", 10))


def touch(memory: mmap.mmap, start: int = 0, end: int = SIZE) -> None:
    """Store a byte into each page from *start* to *end*."""
    for at in range(start, end, PAGE):
        memory[at] = 7


def filled() -> mmap.mmap:
    """Return 16 MiB of private memory, every page of it written."""
    memory = mmap.mmap(-1, SIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory.madvise(mmap.MADV_NOHUGEPAGE)  # else a fault may copy 2 MiB at once
    touch(memory)
    return memory


def writing_child(write: bool) -> None:
    """In the box: fork, and let the child report its private memory, and the cost of its stores; see fork(2)."""
    memory = filled()
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    data, forked, before = data_dirty(memory), rollup("self", "Private_Dirty"), faults()
    if write:
        touch(memory)
    met = faults() - before
    inside.send({"data": data, "fork": forked, "dirty": data_dirty(memory) - data, "faults": met})
    os._exit(0)


def frames(pid: int, start: int) -> list[int]:
    """Return the frame of each page of the memory at *start*, 0 if unknown; needs root, see pagemap in proc(5)."""
    with open(f"/proc/{pid}/pagemap", "rb", buffering=0) as file:
        file.seek(start // PAGE * ENTRY)
        return [entry & FRAME for (entry,) in struct.iter_unpack("<Q", file.read(PAGES * ENTRY))]


def pages(pids: list[int], start: int) -> str:
    """Return a letter for each page: s if two processes share its frame, else c; nothing if frames are not shown."""
    one, other = (frames(pid, start) for pid in pids)
    return "".join("s" if here == there else "c" for here, there in zip(one, other, strict=True)) if any(one) else ""


def writing_parent(write: bool) -> None:
    """In the box: fork a snapshot, a child that only keeps its memory, and go on writing; see fork(2)."""
    memory = filled()
    inside.send(ctypes.addressof(ctypes.c_char.from_buffer(memory)))
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.close(writing)
        inside.send("snapshot")
        os.read(reading, 1)  # until the parent has ended
        os._exit(0)
    for part in range(4):
        inside.receive_line()
        if write:
            touch(memory, SIZE // 4 * part, SIZE // 4 * (part + 1))
        inside.send("written")
    inside.receive_line()


def check(bench: Bench, *, feature: bool) -> None:
    """Let a child write into memory that it shares with its parent, then a parent into memory of its snapshot."""
    with bench.box(writing_child, feature) as box:
        child = box.receive()
    with bench.box(writing_parent, feature) as box:
        place, _ = box.receive(), box.receive()
        both = [box.program, *look.children(box.program)]
        before, pids = sum(rollup(pid, "Pss") for pid in both), ",".join(map(str, both))
        moments = [("after fork", pages(both, place))]
        for part in ("a quarter written", "half written", "three quarters", "all written"):
            box.send_line("go on")
            box.receive()
            moments.append((part, pages(both, place)))
        more = sum(rollup(pid, "Pss") for pid in both) - before
    bench.in_box("its data, private after fork", f"{child['data']} kB", "Private_Dirty in the child's /proc/self/smaps")
    bench.in_box("all that is private in it", f"{child['fork']} kB", "Private_Dirty in its /proc/self/smaps_rollup")
    bench.in_box("its data, after its stores", f"{child['data'] + child['dirty']} kB", "the same line of smaps")
    bench.in_box("page faults", child["faults"], "field 10 of the child's /proc/self/stat")
    bench.on_host("busy parent", f"+{more} kB", f"Pss in /proc/{{{pids}}}/smaps_rollup, afterwards and before")
    if moments[0][1]:
        says = f"The parent writes, and at the end {moments[-1][1].count('c')} of {PAGES} pages exist twice."
        kinds = {"s": "one frame of memory for both", "c": "copied: parent and snapshot have one each"}
        source, shown = f"frame numbers in /proc/{{{pids}}}/pagemap", [*moments[:2], moments[-1]]
        bench.draw(Cells("The pages of a snapshot", says, source, kinds, shown))
    near = range(SIZE // 1024 - MIB, SIZE // 1024 + MIB)
    bench.claim("fork(2) has copied nothing of the data", child["data"] == 0)
    bench.claim("and of the whole process less than 6 MiB", child["fork"] < 6 * MIB)
    bench.claim("writing 16 MiB takes 16 MiB more", child["dirty"] in near)
    bench.claim("there is one fault for each page", PAGES <= child["faults"] < PAGES * 1.1)
    bench.claim("if the parent writes all its memory, the snapshot takes as much again", more in near)


LAB = Lab(
    question="A process with 16 MiB of data forks. How much does the child take, before and after it writes all of it?",
    answer=f"Nothing of the data before; 16 MiB afterwards, in about {PAGES} page faults, one for each page. If the"
    " parent goes on writing, its snapshot takes just as much.",
    control="neither process writes: nothing is copied",
    check=check,
)
