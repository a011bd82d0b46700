"""Find the box that ran out of memory.

137 says only that KILL ended the program, or that it chose this number itself. The kernel counts how often the OOM
killer has killed in a control group; tinybox reads the counter at the end of the box, before the group is removed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinybox.container import control
from tinybox.exercises import course

if TYPE_CHECKING:
    import random

    from tinybox.exercises.scene import Scene

SCRIPTS = {"oom": "exec tail -c 100m /dev/zero", "killed": "exec sleep 1000000", "exit": "exit 137"}


def draw(draws: random.Random) -> dict[str, Any]:
    """Draw three boxes, which of them ends how, and their memory limits in MiB."""
    boxes = course.boxes(draws, "oom-kill", 3)
    ways = draws.sample(list(SCRIPTS), 3)
    limits = [draws.randint(8, 16) for _ in boxes]
    return {"boxes": boxes, "ways": ways, "limits": limits, "guilty": boxes[ways.index("oom")]}


def prepare(scene: Scene) -> None:
    """Make three boxes, and wait until each has ended with 137."""
    boxes, ways, limits = (scene.numbers[key] for key in ("boxes", "ways", "limits"))
    for name, way, limit in zip(boxes, ways, limits, strict=True):
        scene.put(f"{name}/way", SCRIPTS[way])
        volume = [f"{scene.folder}/{name}:/job:ro"]
        scene.box(name, "sh", "-c", ". /job/way", volume=volume, memory=f"{limit}m", memory_swap=f"{limit}m")
        if way == "killed":
            control.kill(scene.paths, name, "KILL")
    for name in boxes:
        status = control.wait(scene.paths, name)
        scene.until(lambda status=status: status == 137, f"the end of {name} with 137")  # type: ignore[misc]


def check(scene: Scene, answer: str) -> None:
    """Read what the owner of the named box has noted about its end."""
    boxes = scene.numbers["boxes"]
    scene.need(answer in boxes, f"the answer is none of the boxes {', '.join(boxes)}: {answer}")
    box = scene.listed(answer)
    scene.saw("exit status", box.state.get("exitCode"), f"tinybox inspect {answer}: State.ExitCode")
    source = f"tinybox inspect {answer}: State.OOMKilled (oom_kill in memory.events, read at its end)"
    killed = scene.saw("ended by the OOM killer", bool(box.state.get("oomKilled")), source)
    scene.need(killed, f"the box {answer} has ended with 137, but not by the OOM killer")


EXERCISE = course.Exercise(
    task="The boxes {names} have ended with 137. One of them had run out of memory, so that the kernel's OOM killer"
    " killed"
    " it. Which one? `tinybox inspect BOX`, `tinybox events --since 10m --until 0s` and the kernel's log, dmesg, tell.",
    hints=(
        "`tinybox ps -a` shows the same status for all of them. What else does `tinybox inspect` say under State?",
        "State.OOMKilled is true if the counter oom_kill of the box's control group was not 0 at its end.",
        "`tinybox events` has an event `oom` for such a box, and `kill` for one that was killed by a command.",
    ),
    solution="Read State.OOMKilled: it is true for {guilty} only.\n"
    "  for b in {list}; do tinybox inspect -f '{{{{.Name}}}} {{{{.State.OOMKilled}}}}' $b; done",
    draw=draw,
    prepare=prepare,
    check=check,
    answer="BOX",
    needs="the controller memory",
)
