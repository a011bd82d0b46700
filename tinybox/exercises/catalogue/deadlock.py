"""Break a deadlock, and let one box finish.

flock(2) knows no deadlock: both would sleep for ever. Nothing but the end of one process gives the other its lock. The
kernel releases the locks of a process that ends, in whatever way.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from tinybox.exercises import course
from tinybox.lab import look

if TYPE_CHECKING:
    import random

    from tinybox.exercises.scene import Scene

SCRIPT = """flock /shared/$FIRST sh -c '
  : > /shared/has-$FIRST
  until [ -e /shared/has-$SECOND ]; do usleep 5000; done
  flock /shared/$SECOND sh -c "echo $ME > /shared/done-$ME"'
exit $STATUS"""
FILES = ("accounts", "orders")


def draw(draws: random.Random) -> dict[str, Any]:
    """Draw two boxes, the one that has to finish, and its exit status."""
    boxes = course.boxes(draws, "deadlock", 2)
    keep = draws.choice(boxes)
    other = next(name for name in boxes if name != keep)
    return {"boxes": boxes, "keep": keep, "other": other, "status": draws.randint(20, 90)}


def prepare(scene: Scene) -> None:
    """Make two boxes that take two locks in opposite orders, and wait until both wait."""
    for files, name in zip((FILES, FILES[::-1]), scene.numbers["boxes"], strict=True):
        env = [f"FIRST={files[0]}", f"SECOND={files[1]}", f"ME={name}", f"STATUS={scene.numbers['status']}"]
        scene.box(name, "sh", "-c", SCRIPT, volume=[f"{scene.folder}:/shared"], env=env)
    scene.until(lambda: len(waiting(scene)) == len(FILES), "the deadlock")


def waiting(scene: Scene) -> list[str]:
    """Return the lines of /proc/locks about processes that wait for one of the two files; see proc_locks(5)."""
    inodes = [os.stat(f"{scene.folder}/{name}").st_ino for name in FILES]
    lines = look.text("/proc/locks").splitlines()
    return [line for line in lines if "->" in line and any(f":{inode} " in line for inode in inodes)]


def check(scene: Scene, answer: str) -> None:
    """Read which processes still wait, and how the box that was to finish has ended."""
    del answer
    keep, wanted = scene.listed(scene.numbers["keep"]), scene.numbers["status"]
    for line in waiting(scene):
        scene.saw("waits", line.strip(), "/proc/locks")
    scene.need(not waiting(scene), "both boxes still wait for a lock of the other: see the arrows in /proc/locks")
    scene.need(not keep.is_alive, f"the box {keep.name} has not ended yet")
    status = scene.saw("exit status", keep.state.get("exitCode"), f"tinybox inspect {keep.name}: State.ExitCode")
    scene.need(status == wanted, f"the box {keep.name} has ended with {status}, not with {wanted}: it could not finish")
    done = f"{scene.folder}/done-{keep.name}"
    told = f"the box {keep.name} has ended without its work: it never had both locks ({done} is missing)"
    scene.need(os.path.exists(done), told)
    scene.saw("its work", look.text(done), f"cat {done}")


EXERCISE = course.Exercise(
    task="The boxes {keep} and {other} share two files, and each waits for a lock that the other holds. Break the"
    " deadlock"
    " so that {keep} finishes its work: it then ends by itself with the status {status}. You may end the other one."
    " /proc/locks shows which process waits.",
    hints=(
        "In /proc/locks, a line with an arrow (->) is a process that waits for the lock in the line above it.",
        "The kernel releases a lock when its holder ends. Whose end gives {keep} the lock that it waits for?",
        "`tinybox kill BOX` ends a box at once.",
    ),
    solution="End the other one:\n  tinybox kill {other}\n  tinybox wait {keep}",
    draw=draw,
    prepare=prepare,
    check=check,
)
