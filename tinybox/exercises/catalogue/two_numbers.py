"""A process has one PID on the host, one in its box.

Each pid namespace counts for itself, and a process has one number in its own namespace and one in each namespace above.
So two boxes have a process 4 each, and on the host both have other numbers. `NSpid` in /proc/PID/status has them all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinybox.exercises import course
from tinybox.lab import look
from tinybox.linux import proc

if TYPE_CHECKING:
    import random

    from tinybox.exercises.scene import Scene

SLEEPERS = 6
WANTED = list(range(1, SLEEPERS + 3))  # the init, the shell, and the sleepers from 3 on


def draw(draws: random.Random) -> dict[str, Any]:
    """Draw two boxes, and the number that a process has in the first."""
    first, second = boxes = course.boxes(draws, "two-numbers", 2)
    return {"boxes": boxes, "box": first, "other": second, "inner": draws.randint(3, WANTED[-1])}


def prepare(scene: Scene) -> None:
    """Make two boxes with the same processes; nothing else takes a number, so all that draw() can ask for exist."""
    for name in scene.numbers["boxes"]:
        scene.box(name, "sh", "-c", "sleep 1000000 & " * SLEEPERS + "wait")
    for name in scene.numbers["boxes"]:
        scene.until(lambda name=name: inner_numbers(scene, name) == WANTED, "the processes of the box")  # type: ignore[misc]


def inner_numbers(scene: Scene, name: str) -> list[int]:
    """Return the numbers that the processes of a box have in it, sorted; see NSpid in proc_pid_status(5)."""
    return sorted(int(look.status(pid, "NSpid").split()[-1]) for pid in scene.processes(name))


def check(scene: Scene, answer: str) -> None:
    """Compare the number and the pid namespace of the process that the answer names with the wanted ones."""
    box, inner = scene.numbers["box"], scene.numbers["inner"]
    here = scene.saw(f"pid namespace of {box}", scene.namespaces(box)["pid"], f"/proc/{scene.pid(box)}/ns/pid")
    scene.need(answer.isdecimal(), f"the answer is no PID: {answer}")
    scene.need(look.state(answer) != "X", f"there is no process {answer} on this host: /proc/{answer}")
    numbers = scene.saw("NSpid", look.status(answer, "NSpid"), f"/proc/{answer}/status").split()
    there = scene.saw("its pid namespace", pid_namespace(answer), f"/proc/{answer}/ns/pid")
    scene.need(there == here, f"the process {answer} is in another pid namespace than the box {box}")
    scene.need(numbers[-1] == str(inner), f"the process {answer} has the number {numbers[-1]} in its box, not {inner}")


def pid_namespace(pid: str) -> str:
    """Return the pid namespace of a process; that of a process which this user may not look into cannot be read."""
    try:
        return proc.link(f"/proc/{pid}/ns/pid")
    except PermissionError:
        return "not readable for you"


EXERCISE = course.Exercise(
    task="In the boxes {box} and {other}, many processes run the same program. Find the process that has the PID"
    " {inner}"
    " in {box}: which PID has it on the host? /proc/PID/status has both numbers; `tinybox top` lists the host's.",
    hints=(
        "`tinybox top {box}` prints the host's PIDs of the processes of the box, `tinybox exec {box} ps` those in it.",
        "The line NSpid in /proc/PID/status has all numbers of a process, the host's first.",
        "grep NSpid /proc/[0-9]*/status prints all numbers; /proc/PID/ns/pid tells the two boxes apart.",
    ),
    solution="For each PID that `tinybox top {box}` lists, read NSpid. The answer is the first number of the line that"
    " ends with {inner}:\n  for p in $(tinybox top {box} -o pid | tail -n +2); do grep NSpid /proc/$p/status; done",
    draw=draw,
    prepare=prepare,
    check=check,
    answer="PID",
)
