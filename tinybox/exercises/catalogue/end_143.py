"""Make a box end with 143 and not 137.

A shell runs the commands of a trap when the command that it waits for has ended. TERM to the shell alone does nothing
until then, and after its patience `stop` sends KILL: 128 + 9. A program that ends by TERM has the status 128 + 15.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinybox.exercises import course
from tinybox.lab import look

if TYPE_CHECKING:
    import random

    from tinybox.exercises.scene import Scene

SCRIPT = "trap 'trap - TERM; kill $$' TERM; sleep {decoy} & while :; do sleep {waited}; done"


def draw(draws: random.Random) -> dict[str, Any]:
    """Draw a box, and the seconds of the sleeper that its shell waits for, and of another one."""
    boxes = course.boxes(draws, "end-143", 1)
    waited, decoy = draws.sample(range(100000, 999999), 2)
    return {"boxes": boxes, "box": boxes[0], "waited": waited, "decoy": decoy}


def prepare(scene: Scene) -> None:
    """Make a box whose shell catches TERM, and waits for a child in the foreground."""
    box = scene.numbers["box"]
    scene.box(box, "sh", "-c", SCRIPT.format(**scene.numbers))
    scene.until(lambda: scene.process(box, f"sleep {scene.numbers['waited']}"), "the sleeper")


def check(scene: Scene, answer: str) -> None:
    """Read how the box ended; before its end, which signals its program catches, and which are pending."""
    del answer
    box = scene.listed(scene.numbers["box"])
    if box.is_alive:
        program = scene.program(box.name)
        scene.saw(
            "signals that the program catches", sorted(look.signals(program, "SigCgt")), f"/proc/{program}/status"
        )
        children = " ".join(map(str, look.children(program)))
        scene.saw("its children", children, f"/proc/{program}/task/{program}/children")
        scene.need(False, f"the box {box.name} still runs")
    status = scene.saw("exit status", box.state.get("exitCode"), f"tinybox inspect {box.name}: State.ExitCode")
    scene.need(status == 143, f"the box has ended with {status}, not with 143")


EXERCISE = course.Exercise(
    task="`tinybox stop {box}` takes ten seconds, and the box ends with the status 137. End this same box with 143. Its"
    " program is a shell that catches TERM. SigCgt in /proc/PID/status says so, and `tinybox tree {box}` shows what the"
    " shell waits for.",
    hints=(
        "143 is 128 + 15: the program ends by the signal TERM. 137 is 128 + 9: KILL, which cannot be caught.",
        "The shell acts on TERM only when the command that it waits for has ended. Which of its children is that?",
        "After `tinybox kill -s TERM {box}`, end the child in the foreground.",
    ),
    solution="Send TERM, then end the command that the shell waits for:\n  tinybox kill -s TERM {box}\n"
    "  tinybox exec {box} pkill -f 'sleep {waited}'",
    draw=draw,
    prepare=prepare,
    check=check,
)
