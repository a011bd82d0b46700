"""Give a box as much memory as it needs.

At the limit, the kernel first takes back what it can read again from the disk; then it kills. A limit far above the
need protects nobody, one below it kills the program. The counters of the control group say how close a box is to it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from tinybox.container import control
from tinybox.exercises import course
from tinybox.isolation.cgroups.out_of_memory import memory_limit, oom_kills

if TYPE_CHECKING:
    import random

    from tinybox.exercises.scene import Scene

SPARE = 16  # MiB that the limit may be above the need
SCRIPT = """read mib < /shared/need
head -c ${mib}m /dev/zero | tail -c ${mib}m > /dev/null
: > /shared/ready; exec sleep 1000000"""


def draw(draws: random.Random) -> dict[str, Any]:
    """Draw a box, how many MiB its program needs, and its limit, which is too low."""
    boxes = course.boxes(draws, "memory-limit", 1)
    need = draws.randint(30, 50)
    return {"boxes": boxes, "box": boxes[0], "need": need, "most": need + SPARE, "limit": draws.randint(10, 16)}


def prepare(scene: Scene) -> None:
    """Make a box that ends by the OOM killer, and wait for its end."""
    box, limit = scene.numbers["box"], scene.numbers["limit"]
    scene.put("need", f"{scene.numbers['need']}\n")
    memory = {"memory": f"{limit}m", "memory_swap": f"{limit}m"}
    scene.box(box, "sh", "-c", SCRIPT, volume=[f"{scene.folder}:/shared"], **memory)
    scene.until(lambda: control.wait(scene.paths, box) == 137, "the end of the box with 137")


def check(scene: Scene, answer: str) -> None:
    """Read the limit of the running box, and whether its program got the memory that it needs."""
    del answer
    box, most = scene.running(scene.numbers["box"]), scene.numbers["most"]
    limit = memory_limit(box.group)
    version = box.group.hierarchies.version("memory")
    file = f"{box.group.directory('memory')}/{'memory.max' if version == 2 else 'memory.limit_in_bytes'}"
    scene.saw("limit", "none" if limit is None else f"{limit >> 20} MiB", file)
    scene.saw("killed by the OOM killer since it started", oom_kills(box.group), "oom_kill in memory.events"
              if version == 2 else "oom_kill in memory.oom_control")  # fmt: skip
    scene.need(limit is not None and limit <= most << 20, f"the limit is to be at most {most} MiB")
    low = f"the program needs {scene.numbers['need']} MiB, so it could not start again with this limit"
    scene.need((limit or 0) >= scene.numbers["need"] << 20, low)
    ready = f"{scene.folder}/ready"
    scene.need(os.path.exists(ready), f"the program is not ready yet: {ready} is missing")
    scene.saw("the program is ready", "yes", f"ls {ready}")


EXERCISE = course.Exercise(
    task="The box {box} has ended with 137: it has a memory limit of {limit} MiB, and the OOM killer ended it. Give it"
    " a"
    " limit of at most {most} MiB with which it runs, and start it. It is to be this same box. `tinybox inspect`,"
    " `tinybox update`, `tinybox stats` and memory.events of its control group help.",
    hints=(
        "`tinybox update -m SIZE {box}` changes the limit, also after the end of the box; then `tinybox start`.",
        "A limit for memory and swap together may not be below the one for memory: --memory-swap raises it, too.",
        "It needs {need} MiB for its work, and a little for its processes.",
    ),
    solution="Raise both limits, and start it:\n  tinybox update -m {most}m --memory-swap {most}m {box}\n"
    "  tinybox start {box}",
    draw=draw,
    prepare=prepare,
    check=check,
    needs="the controller memory",
)
