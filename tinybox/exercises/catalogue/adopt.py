"""Let PID 1 adopt a running process.

Each process has a parent. When the parent ends, the kernel gives its children to PID 1 of their pid namespace, and they
notice nothing of it. A daemon makes itself such an orphan on purpose.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinybox.exercises import course
from tinybox.lab import look

if TYPE_CHECKING:
    import random

    from tinybox.exercises.scene import Scene


def draw(draws: random.Random) -> dict[str, Any]:
    """Draw a box, the seconds of three sleepers, and the one to be adopted."""
    boxes = course.boxes(draws, "adopt", 1)
    sleepers = draws.sample(range(100000, 999999), 3)
    chosen = draws.choice(sleepers)
    return {"boxes": boxes, "box": boxes[0], "sleepers": sleepers, "chosen": chosen}


def prepare(scene: Scene) -> None:
    """Make a box with three shells that wait for one sleeper each."""
    box, sleepers = scene.numbers["box"], scene.numbers["sleepers"]
    shells = " ".join(f"sh -c 'sleep {seconds} & wait' &" for seconds in sleepers)
    scene.box(box, "sh", "-c", f"{shells} exec sleep 1000000")
    for seconds in sleepers:
        command = f"sleep {seconds}"
        pid = scene.until(lambda command=command: scene.process(box, command), "the sleepers")  # type: ignore[misc]
        scene.note(command, pid)
        scene.facts[f"parent of {command}"] = int(look.status(pid, "PPid"))


def check(scene: Scene, answer: str) -> None:
    """Look at the parents of the three sleepers, which must be the same processes as before."""
    del answer
    box, chosen = scene.numbers["box"], scene.numbers["chosen"]
    first = scene.saw("PID 1 of the box", scene.pid(box), f"tinybox inspect {box}: State.Pid")
    for seconds in scene.numbers["sleepers"]:
        command = f"sleep {seconds}"
        pid = scene.still(command)
        scene.need(pid, f"`{command}` has ended, it was to go on: start --again")
        parent = int(scene.saw(f"parent of `{command}`", look.status(pid, "PPid"), f"PPid in /proc/{pid}/status"))
        if seconds == chosen:
            scene.need(
                parent == first, f"the parent of `{command}` is {parent}, not PID 1 of the box: /proc/{pid}/status"
            )
        else:
            former = scene.facts[f"parent of {command}"]
            scene.need(parent == former, f"`{command}` was to keep its parent {former}, and has {parent}")


EXERCISE = course.Exercise(
    task="In the box {box}, three shells wait for one `sleep` each. Make `sleep {chosen}` a child of PID 1 of the box."
    " It must be the same process afterwards, and the two others must keep their parents. `tinybox tree {box}` shows"
    " the"
    " processes, PPid in /proc/PID/status the parent.",
    hints=(
        "A process gets another parent only when its parent ends.",
        "Find the parent of `sleep {chosen}` by PPid in /proc/PID/status, and end this shell only.",
        "kill without a number sends TERM; the shell does not hand it on to its child.",
    ),
    solution="Kill the shell that is the parent:\n  tinybox exec {box} sh -c 'kill $(ps -o pid,args | grep \"[s]h -c"
    " sleep"
    ' {chosen}" | awk "{{print \\$1}}")\'',
    draw=draw,
    prepare=prepare,
    check=check,
)
