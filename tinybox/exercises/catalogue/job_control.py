"""Ctrl-Z, bg and fg: three jobs of one terminal.

A shell gives each job a process group of its own, and says to the terminal which group is in the foreground
(tcsetpgrp(3)). Ctrl-Z sends TSTP to that group only. `bg` and `fg` send CONT; `fg` gives it the terminal, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinybox.exercises import course
from tinybox.lab import look

if TYPE_CHECKING:
    import random

    from tinybox.exercises.scene import Scene


def draw(draws: random.Random) -> dict[str, Any]:
    """Draw a box, and the seconds of the three jobs."""
    boxes = course.boxes(draws, "job-control", 1)
    stopped, back, fore = draws.sample(range(100000, 999999), 3)
    return {"boxes": boxes, "box": boxes[0], "stopped": stopped, "back": back, "fore": fore}


def prepare(scene: Scene) -> None:
    """Make a box with a shell on a terminal."""
    box = scene.numbers["box"]
    scene.box(box, "sh", tty=True, interactive=True)
    scene.until(lambda: look.stat(scene.program(box), 8) == look.stat(scene.program(box), 5), "the shell's foreground")


def check(scene: Scene, answer: str) -> None:
    """Read state, process group, session and foreground group of the three jobs."""
    del answer
    box = scene.numbers["box"]
    shell = scene.program(box)
    for name, wanted in (("stopped", "stopped"), ("back", "in the background"), ("fore", "in the foreground")):
        command = f"sleep {scene.numbers[name]}"
        pid = scene.process(box, command)
        scene.need(pid, f"there is not one process `{command}` in the box")
        letter, group, session, foreground = (look.stat(pid, field) for field in (3, 5, 6, 8))
        scene.saw(f"`{command}`: state, group, session, foreground group", f"{letter} {group} {session} {foreground}",
                  f"fields 3, 5, 6 and 8 of /proc/{pid}/stat")  # fmt: skip
        scene.need(
            session == look.stat(shell, 6), f"`{command}` is no job of the box's shell: it is in another session"
        )
        own = group != look.stat(shell, 5)
        scene.need(own, f"`{command}` has no process group of its own: is job control on (set -m)?")
        found = "stopped" if letter == "T" else "in the foreground" if group == foreground else "in the background"
        scene.need(found == wanted, f"`{command}` is {found}, and was to be {wanted}")


EXERCISE = course.Exercise(
    task="The box {box} has a shell on a terminal: `tinybox attach {box}`. Start three jobs there, in any order, and"
    " leave"
    " `sleep {stopped}` stopped, `sleep {back}` running in the background, and `sleep {fore}` running in the"
    " foreground."
    " Then leave by Ctrl-P Ctrl-Q, so that the shell goes on. Fields 3, 5, 6 and 8 of /proc/PID/stat are the state, the"
    " process group, the session, and the foreground group of the terminal.",
    hints=(
        "Ctrl-Z stops the job in the foreground, `bg` lets it go on in the background, `jobs` lists the jobs.",
        "Start the one in the foreground last: while it runs, the shell waits and reads no commands.",
        "Without Ctrl-Z: `sleep {back} &` is in the background from the start.",
    ),
    solution="tinybox attach {box}, then type:\n  sleep {back}\n  Ctrl-Z\n  bg\n  sleep {stopped}\n  Ctrl-Z\n  sleep"
    " {fore}\n"
    "  Ctrl-P Ctrl-Q",
    draw=draw,
    prepare=prepare,
    check=check,
)
