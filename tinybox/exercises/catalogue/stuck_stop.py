"""Recover a stop that never ends.

`stop` sends TERM, and waits. A stopped process (state T) gets no signal but KILL and CONT: the others stay pending
until it is continued. With KILL the stop would end, and so would the program, without saving its work.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinybox.exercises import course
from tinybox.lab import look

if TYPE_CHECKING:
    import random

    from tinybox.exercises.scene import Scene

SCRIPT = "trap 'echo {word} > /shared/saved; exit {status}' TERM; kill -STOP $$; while :; do sleep 1; done"


def draw(draws: random.Random) -> dict[str, Any]:
    """Draw a box, the word that its program saves, and its exit status."""
    boxes = course.boxes(draws, "stuck-stop", 1)
    return {"boxes": boxes, "box": boxes[0], "word": draws.choice(course.WORDS), "status": draws.randint(20, 90)}


def prepare(scene: Scene) -> None:
    """Make a box whose program stops itself, and that `stop` waits for without a limit."""
    box = scene.numbers["box"]
    script = SCRIPT.format(**scene.numbers)
    scene.box(box, "sh", "-c", script, volume=[f"{scene.folder}:/shared"], stop_timeout="-1")
    scene.until(lambda: look.state(scene.program(box)) == "T", "the state T")


def check(scene: Scene, answer: str) -> None:
    """Read how the box ended, and what its program has saved; before its end, in which state the program is."""
    del answer
    box = scene.listed(scene.numbers["box"])
    if box.is_alive:
        program = scene.program(box.name)
        letter = scene.saw("state of the program", look.stat(program, 3), f"field 3 of /proc/{program}/stat")
        pending = scene.saw(
            "pending signals", sorted(look.signals(program, "ShdPnd")), f"ShdPnd in /proc/{program}/status"
        )
        wait = " with TERM pending" if 15 in pending else ""
        scene.need(False, f"the box {box.name} still runs: its program is in state {letter}{wait}")
    status = scene.saw("exit status", box.state.get("exitCode"), f"tinybox inspect {box.name}: State.ExitCode")
    wanted = scene.numbers["status"]
    scene.need(
        status == wanted, f"the box has ended with {status}, not with {wanted}: its program could not save its work"
    )
    saved = scene.saw("saved", look.text(f"{scene.folder}/saved"), f"cat {scene.folder}/saved")
    scene.need(saved == scene.numbers["word"], "the program has saved something else")


EXERCISE = course.Exercise(
    task="`tinybox stop {box}` waits for ever (try it, and press Ctrl-C). End the box so that its program can save its"
    " work: it then ends with the status {status}, and not with 137. /proc/PID/stat has the state of a process,"
    " /proc/PID/status the signals that are pending (ShdPnd).",
    hints=(
        "The third field of /proc/PID/stat of the program, or `tinybox exec {box} ps -o pid,stat,args`, is a T.",
        "A stopped process does not see TERM before it is continued. Which signal continues a process?",
        "`tinybox kill -s SIGNAL {box}` sends a signal to PID 1 of the box, which forwards it to the program.",
    ),
    solution="Send TERM by `tinybox stop`, and continue the program:\n  tinybox stop {box} &\n"
    "  tinybox kill -s CONT {box}\n  wait",
    draw=draw,
    prepare=prepare,
    check=check,
)
