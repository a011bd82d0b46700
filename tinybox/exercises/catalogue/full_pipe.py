"""Find the box whose process fills the pipe.

A pipe holds 65536 bytes. When it is full, write(2) puts the writer to sleep until a process reads. The program has not
failed and uses no CPU; it only does not go on. The kernel says in which of its functions a process sleeps.
"""

from __future__ import annotations

import fcntl
import os
import termios
from typing import TYPE_CHECKING, Any

from tinybox.exercises import course
from tinybox.lab import look
from tinybox.linux import proc

if TYPE_CHECKING:
    import random

    from tinybox.exercises.scene import Scene

PAGE, CAPACITY = 4096, 65536  # bytes; the capacity is the kernel's default, see pipe(7)
SCRIPT = "{ dd if=/dev/zero bs=4096 count=$PAGES 2>/dev/null; exec sleep 1000000; } | sleep 1000000"


def draw(draws: random.Random) -> dict[str, Any]:
    """Draw four boxes, and how many pages of bytes each writes: one of them more than a pipe holds."""
    boxes = course.boxes(draws, "full-pipe", 4)
    pages = [draws.randrange(4, 16) for _ in boxes]
    guilty = draws.randrange(len(boxes))
    pages[guilty] = draws.randrange(18, 24)
    return {"boxes": boxes, "guilty": boxes[guilty], "pages": pages}


def prepare(scene: Scene) -> None:
    """Make the boxes, and wait until each writer has written all that it can."""
    wanted = dict(zip(scene.numbers["boxes"], scene.numbers["pages"], strict=True))
    for name, pages in wanted.items():
        scene.box(name, "sh", "-c", SCRIPT, env=[f"PAGES={pages}"])
    for name, pages in wanted.items():
        size, rest = min(pages * PAGE, CAPACITY), "pipe_write" if pages * PAGE > CAPACITY else "nanosleep"
        scene.until(lambda name=name, size=size: fill(writer(scene, name)) == size, "bytes in the pipe")  # type: ignore[misc]
        scene.until(lambda name=name, rest=rest: rest in look.sleeps_in(writer(scene, name)), "the writer's rest")  # type: ignore[misc]


def writer(scene: Scene, name: str) -> int:
    """Return the process of the box that writes to a pipe of the box and waits for no child; 0 if there is none."""
    pids = list(scene.processes(name))
    read = {proc.link(f"/proc/{pid}/fd/0") for pid in pids}
    writing = [pid for pid in pids if (out := proc.link(f"/proc/{pid}/fd/1")).startswith("pipe:") and out in read]
    return next((pid for pid in writing if not look.children(pid)), 0)


def fill(pid: int) -> int:
    """Return how many bytes wait in the pipe that is the standard output of process *pid*; see FIONREAD in pipe(7)."""
    if not pid:
        return -1
    fd = os.open(f"/proc/{pid}/fd/1", os.O_RDONLY | os.O_NONBLOCK)
    try:
        return int.from_bytes(fcntl.ioctl(fd, termios.FIONREAD, bytes(4)), "little")
    finally:
        os.close(fd)


def check(scene: Scene, answer: str) -> None:
    """Look in which function of the kernel the writer of the named box sleeps, and how full its pipe is."""
    boxes = scene.numbers["boxes"]
    scene.need(answer in boxes, f"the answer is none of the boxes {', '.join(boxes)}: {answer}")
    pid = writer(scene, answer)
    scene.need(pid, f"nothing writes to a pipe in the box {answer} any more: start --again")
    waits = scene.saw(f"the writer in {answer} sleeps in", look.sleeps_in(pid), f"/proc/{pid}/wchan")
    scene.saw("bytes that wait in its pipe", fill(pid), f"ioctl(FIONREAD) of /proc/{pid}/fd/1")
    scene.need("pipe_write" in waits, f"the writer in {answer} does not wait for room in a pipe: it sleeps in {waits}")


EXERCISE = course.Exercise(
    task="In each of the boxes {names} a process has written into a pipe that nobody reads. One of the pipes is full,"
    " and"
    " its writer cannot go on. Which box is it? /proc/PID/wchan and /proc/PID/syscall say where a process sleeps;"
    " `tinybox tree BOX` and `tinybox top BOX` show the PIDs.",
    hints=(
        "A process that waits until there is room in a pipe sleeps in the system call write.",
        "cat /proc/PID/wchan prints the function of the kernel in which the process sleeps. Look for pipe_write.",
        "A writer that has written all it wants sleeps in another function: here it has become `sleep`.",
    ),
    solution="In the box {guilty}, the wchan of `dd` contains pipe_write:\n"
    "  for b in {list}; do for p in $(tinybox top $b -o pid | tail -n +2); do\n"
    "  echo $b $p $(cat /proc/$p/wchan); done; done",
    draw=draw,
    prepare=prepare,
    check=check,
    answer="BOX",
)
