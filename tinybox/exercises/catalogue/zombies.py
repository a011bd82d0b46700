"""Free the zombies without killing their parent.

A process that has ended stays in the table until its parent waits for it. It cannot be killed. Either its parent waits,
or its parent ends and PID 1 waits. This parent waits when it gets a certain signal; other signals end it.
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

from tinybox.exercises import course
from tinybox.lab import look

if TYPE_CHECKING:
    import random

    from tinybox.exercises.scene import Scene

SIGNALS = ("HUP", "USR1", "USR2", "ALRM", "VTALRM", "IO")
# The shell waits for ended children after each command, but not while it reads: so they are ended when it reads.
SCRIPT = """trap wait {signal}; mkfifo /tmp/never; exec 3<>/tmp/never
for n in $(seq {count}); do sleep 1000000 & done
while :; do read x <&3; done"""


def draw(draws: random.Random) -> dict[str, Any]:
    """Draw a box, the signal that its program catches, and how many zombies it has."""
    boxes = course.boxes(draws, "zombies", 1)
    name = draws.choice(SIGNALS)
    number = signal.Signals[f"SIG{name}"].value
    return {"boxes": boxes, "box": boxes[0], "signal": name, "number": number, "count": draws.randint(4, 9)}


def prepare(scene: Scene) -> None:
    """Make a box whose program starts children and then reads; kill the children, and it does not wait for them."""
    box, count = scene.numbers["box"], scene.numbers["count"]
    scene.box(box, "sh", "-c", SCRIPT.format(**scene.numbers))
    parent = scene.until(lambda: scene.program(box), "the program")
    # The builtin read of busybox waits in poll(2).
    scene.until(lambda: len(look.children(parent)) == count and "poll" in look.sleeps_in(parent), "the children")
    for pid in look.children(parent):
        os.kill(pid, signal.SIGKILL)
    scene.until(lambda: len(zombies(parent)) == count, "the zombies")
    scene.note("parent", parent)


def zombies(parent: int) -> list[int]:
    """Return the zombies among the children of a process; see the state Z in proc_pid_stat(5)."""
    return [pid for pid in look.children(parent) if look.state(pid) == "Z"]


def check(scene: Scene, answer: str) -> None:
    """Count the zombies of the parent, which must be the same process as before."""
    del answer
    parent = scene.still("parent")
    scene.need(parent, "the parent of the zombies has ended, it was to go on: start --again")
    caught = sorted(look.signals(parent, "SigCgt"))
    scene.saw("signals that the parent catches", caught, f"SigCgt in /proc/{parent}/status")
    left = zombies(parent)
    scene.saw("zombies", len(left), f"/proc/{parent}/task/{parent}/children, and state Z in /proc/PID/stat")
    scene.need(not left, f"the process {parent} still has {len(left)} zombies: their parent has not waited for them")


EXERCISE = course.Exercise(
    task="The program of the box {box} has {count} zombies: children that have ended, and that it has not waited for."
    " Free them, but do not kill their parent. It waits for its children when it gets a certain signal; most other"
    " signals end it. /proc/PID/status says which signals a process catches.",
    hints=(
        "SigCgt in /proc/PID/status is a mask: bit N-1 is set if the process catches signal N.",
        "CHLD (17) and INT (2) are caught by every shell. Which other bit is set?",
        "`tinybox kill -s SIGNAL {box}` sends a signal to PID 1 of the box, which forwards it; see kill -l.",
    ),
    solution="The program catches the signal {number}, {signal}:\n  tinybox kill -s {signal} {box}",
    draw=draw,
    prepare=prepare,
    check=check,
)
