"""Find and free memory that no process has.

A tmpfs keeps its files in memory. They belong to no process, so ps and top do not show them. A control group with the
controller memory counts them. Many a program that seems to leak has only left files in /dev/shm or /run.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from tinybox.exercises import course
from tinybox.lab import look

if TYPE_CHECKING:
    import random

    from tinybox.exercises.scene import Scene

PLACES = ("/dev/shm", "/run/cache", "/srv/queue")


def draw(draws: random.Random) -> dict[str, Any]:
    """Draw a box, the tmpfs that has the file, its name, and its size in MiB."""
    boxes = course.boxes(draws, "hidden-memory", 1)
    file = f"{draws.choice(PLACES)}/{draws.choice(course.WORDS)}-{draws.randrange(10**4):04}"
    return {"boxes": boxes, "box": boxes[0], "file": file, "size": draws.randint(5, 12)}


def prepare(scene: Scene) -> None:
    """Make a box with three tmpfs, and let its program write a file into one of them, and one to the disk."""
    box, file, size = (scene.numbers[key] for key in ("box", "file", "size"))
    script = f"head -c {size}m /dev/zero > /var/cache/decoy; head -c {size}m /dev/zero > $FILE; exec sleep 1000000"
    tmpfs = [place for place in PLACES if place != "/dev/shm"]  # which every box has
    scene.box(box, "sh", "-c", script, tmpfs=tmpfs, env=[f"FILE={file}"])
    scene.until(lambda: os.path.getsize(scene.inside(box, file)) == size << 20, "the file")
    scene.until(lambda: look.text(f"/proc/{scene.program(box)}/comm") == "sleep", "the program")
    scene.note("program", scene.program(box))


def check(scene: Scene, answer: str) -> None:
    """Read how much each tmpfs holds, and the memory of the processes, which must be the same as before."""
    del answer
    box = scene.numbers["box"]
    pid = scene.pid(box)
    scene.need(scene.still("program"), "the program of the box was to go on, and has ended: start --again")
    resident = sum(int(look.status(each, "RssAnon").split()[0]) for each in scene.processes(box))
    scene.saw("memory of its processes", f"{resident} kB", "RssAnon in /proc/PID/status")
    scene.need(
        os.path.exists(f"/proc/{pid}/root/var/cache/decoy"), "the file /var/cache/decoy, on the disk, was to stay"
    )
    for place in PLACES:
        found = os.statvfs(f"/proc/{pid}/root{place}")
        used = (found.f_blocks - found.f_bfree) * found.f_frsize
        scene.saw(f"memory in {place}", f"{used >> 10} kB", f"statvfs(3) of /proc/{pid}/root{place}, as df does")
        scene.need(used < 1 << 20, f"a tmpfs of the box still holds {used >> 20} MiB: {place}")


EXERCISE = course.Exercise(
    task="The box {box} uses {size} MiB of memory, and none of its processes has them. Find them, and free them; the"
    " program of the box must go on, and the files on its disk must stay. /proc/PID/status has the memory of a process,"
    " `tinybox stats` that of the box (of its processes alone, if no group with the controller memory counts it),"
    " /proc/PID/mountinfo its file systems.",
    hints=(
        "Which file systems of the box are in memory? `tinybox exec {box} df -k` shows how much each tmpfs holds.",
        "ls -l in each of them shows the file.",
        "A file in a tmpfs is freed when it is removed, and no process has it open.",
    ),
    solution="Look at the tmpfs of the box, and remove the file:\n  tinybox exec {box} df -k\n"
    "  tinybox exec {box} rm {file}",
    draw=draw,
    prepare=prepare,
    check=check,
)
