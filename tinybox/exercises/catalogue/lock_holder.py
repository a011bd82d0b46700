"""Find the holder of the lock.

A lock of flock(2) belongs to the file, not to its path: boxes that see the same inode exclude one another. The kernel
lists each lock with the PID of the process that took it, and below it those that wait.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any

from tinybox.exercises import course
from tinybox.lab import look

if TYPE_CHECKING:
    import random

    from tinybox.exercises.scene import Scene

SCRIPT = "read go < /shared/gate-$ME; exec flock /shared/accounts sleep 1000000"


def draw(draws: random.Random) -> dict[str, Any]:
    """Draw four boxes, and the one that gets the lock."""
    boxes = course.boxes(draws, "lock-holder", 4)
    return {"boxes": boxes, "holder": draws.choice(boxes)}


def prepare(scene: Scene) -> None:
    """Make the boxes, which wait at a FIFO each; let the holder pass first, then the others."""
    scene.put("accounts", "")
    boxes, holder = scene.numbers["boxes"], scene.numbers["holder"]
    for name in boxes:
        os.mkfifo(f"{scene.folder}/gate-{name}")
        scene.box(name, "sh", "-c", SCRIPT, volume=[f"{scene.folder}:/shared"], env=[f"ME={name}"])
    for count, name in enumerate([holder, *(other for other in boxes if other != holder)], 1):
        scene.until(lambda name=name: opened(f"{scene.folder}/gate-{name}"), "a reader of the FIFO")  # type: ignore[misc]
        scene.until(lambda count=count: len(locks(scene)) == count, "the lock")  # type: ignore[misc]


def opened(fifo: str) -> bool:
    """Write a line into a FIFO; False: nobody has opened it for reading yet; see fifo(7)."""
    try:
        fd = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
    except OSError as error:
        if error.errno == errno.ENXIO:
            return False
        raise
    os.write(fd, b"go\n")
    os.close(fd)
    return True


def locks(scene: Scene) -> list[str]:
    """Return the lines of /proc/locks about the file; the holder's first; see proc_locks(5)."""
    inode = os.stat(f"{scene.folder}/accounts").st_ino
    return [line for line in look.text("/proc/locks").splitlines() if f":{inode} " in line]


def check(scene: Scene, answer: str) -> None:
    """Find the process that holds the lock, and its box."""
    boxes = scene.numbers["boxes"]
    scene.need(answer in boxes, f"the answer is none of the boxes {', '.join(boxes)}: {answer}")
    found = locks(scene)
    for line in found:
        scene.saw("waits" if "->" in line else "holds", line.strip(), "/proc/locks")
    holding = [line for line in found if "->" not in line]
    scene.need(holding, "nobody holds the lock any more: start --again")
    pid = int(holding[0].split()[4])
    members = scene.saw(f"processes of {answer}", list(scene.processes(answer)), "cgroup.procs of its control group")
    scene.need(pid in members, f"the process {pid} holds the lock, and it is not in the box {answer}")


EXERCISE = course.Exercise(
    task="The boxes {names} share the directory /shared. One of them holds the lock on /shared/accounts, the others"
    " wait"
    " for it. Which one holds it? /proc/locks lists the locks of this host, each with a PID and the inode of the file.",
    hints=(
        "ls -i prints the inode of a file: `tinybox exec BOX ls -i /shared/accounts`.",
        "In /proc/locks, the line of a process that waits has an arrow (->). Column 5 of the other one is a PID.",
        "`tinybox top BOX` lists the PIDs of a box as the host sees them.",
    ),
    solution="Take the PID of the line without an arrow in /proc/locks: it is in the box {holder}.\n"
    "  grep :$(tinybox exec {holder} stat -c %i /shared/accounts) /proc/locks\n"
    "  for b in {list}; do echo $b: $(tinybox top $b -o pid); done",
    draw=draw,
    prepare=prepare,
    check=check,
    answer="BOX",
)
