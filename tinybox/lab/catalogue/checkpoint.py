"""A process as files: checkpoint and restore, and a clock that stands still.

All that a process is, the kernel knows: memory, registers, open files, namespaces, numbers. The program criu reads it
from outside, by ptrace(2) and /proc, and writes it to files; from these it makes the process again, in a new box, and
the program does not notice. Its variables are as they were, and it has its PID, because the pid namespace is new. The
time in between would be a jump of its clocks; but the new box has a time namespace, and there the clock goes on from
where it was.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tinybox.container import checkpoint
from tinybox.container.checkpoints import criu
from tinybox.container.views.namespaces import inode
from tinybox.lab.course import Lab

if TYPE_CHECKING:
    from tinybox.container.lifecycle import Container
    from tinybox.lab.bench import Bench
    from tinybox.lab.box import Box

# For each line it counts in a variable, and prints the count, its own PID, and how long this machine is up.
COUNTER = "n=0; while read line; do n=$((n+1)); read up idle < /proc/uptime; echo $n $$ $up; done"
PAUSE = 3.0  # seconds in which the program is nothing but files
NAME = "lab"


def count(box: Box) -> tuple[int, int, float]:
    """Let the program count one more line; return its count, its PID, and the clock that it reads."""
    box.send_line("one more")
    number, pid, up = box.read_line().split()
    return int(number), int(pid), float(up)


def turn_into_files(bench: Bench, folder: str) -> tuple[int, int, float, float]:
    """Count three lines in a box and make a checkpoint of it; return the last count, PID and clock, and this clock."""
    with bench.box("sh", "-c", COUNTER) as box:
        for _ in range(3):
            number, pid, up = count(box)
        counted = time.monotonic()
        bench.in_box("count, PID, clock before", f"{number}, {pid}, {up}", "$n, $$, /proc/uptime")
        bench.on_host("PID of the program", box.program, f"/proc/{box.pid}/task/{box.pid}/children")
        checkpoint.create(box.container.paths, box.id, NAME, directory=folder, wait=False)
        bench.on_host("exit status of the box", box.wait(), "waitid(2)")
        return number, pid, up, counted


def check(bench: Bench, *, feature: bool) -> None:
    """Count three lines, make a checkpoint, wait, and count one more line in a new box that goes on from there."""
    trouble = criu.trouble()
    bench.need(not trouble, trouble)
    folder = bench.folder()
    number, pid, up, counted = turn_into_files(bench, folder)
    ended = time.monotonic()
    bench.until(lambda: time.monotonic() > ended + PAUSE, "the end of the pause")

    def go_on(container: Container) -> None:
        checkpoint.resume(container, NAME, folder)

    with bench.box("sh", "-c", COUNTER, adapt=go_on if feature else None) as box:
        later, same, clock = count(box)
        passed = round(time.monotonic() - counted, 2)
        bench.in_box("count, PID, clock after", f"{later}, {same}, {clock}", "$n, $$, /proc/uptime")
        bench.on_host("PID of the program", box.program, f"/proc/{box.pid}/task/{box.pid}/children")
        bench.on_host("seconds between the counts", passed, "clock_gettime(2)")
        bench.in_box("seconds between the counts", round(clock - up, 2), "/proc/uptime")
        own = inode(str(box.program), "time") != inode("self", "time")
        bench.on_host("a time namespace of its own", own, f"readlink /proc/{box.program}/ns/time")
    bench.claim("the variable in the program's memory goes on", later == number + 1)
    bench.claim("the program has the same PID in the box", same == pid)
    bench.claim("its clock has stood still in between", passed - (clock - up) > PAUSE * 0.9)


LAB = Lab(
    question="A program counts in a variable. Can it go on counting, after all its processes were killed?",
    answer="Yes: criu wrote its memory to files before, and made the process again; its clock did not see the pause.",
    control="the checkpoint: the same program, started again from the image, counts from 1 on",
    check=check,
)
