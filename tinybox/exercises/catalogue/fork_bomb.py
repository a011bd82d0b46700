"""Stop a fork bomb within its limit.

The limit on processes keeps the bomb from the host, but does not end it: each process that ends makes room for another.
So a list of its processes may be old before the last of them is killed. In a frozen control group, no process can make
another one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinybox.exercises import course
from tinybox.isolation.cgroups import files
from tinybox.lab import look

if TYPE_CHECKING:
    import random

    from tinybox.exercises.scene import Scene

# awk goes on when fork(2) fails; a shell would end, and the bomb with the last of them.
BOMB = 'awk "BEGIN { while (1) system(ENVIRON[\\"BOMB\\"] \\" & \\") }"'
SCRIPT = '(eval "$BOMB") 2>/dev/null & exec sleep $WORK'


def draw(draws: random.Random) -> dict[str, Any]:
    """Draw a box, its limit, and the seconds of the program that has to go on."""
    boxes = course.boxes(draws, "fork-bomb", 1)
    return {"boxes": boxes, "box": boxes[0], "limit": draws.randint(16, 32), "work": draws.randrange(100000, 999999)}


def prepare(scene: Scene) -> None:
    """Make a box with a fork bomb, and wait until it has met the limit."""
    box, limit = scene.numbers["box"], scene.numbers["limit"]
    env = [f"BOMB={BOMB}", f"WORK={scene.numbers['work']}"]
    scene.box(box, "sh", "-c", SCRIPT, env=env, pids_limit=str(limit), cpus="0.1")
    scene.until(lambda: refusals(scene) > 0, "the limit")
    scene.note("program", scene.program(box))
    scene.until(lambda: look.text(f"/proc/{scene.program(box)}/comm") == "sleep", "the program")


def refusals(scene: Scene) -> int:
    """Return how often fork(2) was refused at the limit; see pids.events in cgroups(7)."""
    return files.keyed(scene.running(scene.numbers["box"]).group.read("pids", "pids.events")).get("max", 0)


def check(scene: Scene, answer: str) -> None:
    """Read the limit and the processes of the box, whose program must be the same as before."""
    del answer
    box, limit = scene.running(scene.numbers["box"]), scene.numbers["limit"]
    scene.need(scene.still("program"), "the program of the box was to go on, and has ended: start --again")
    folder = box.group.directory("pids")
    most = scene.saw("limit", (box.group.read("pids", "pids.max") or "").strip(), f"{folder}/pids.max")
    scene.saw("forks that were refused", refusals(scene), f"max in {folder}/pids.events")
    scene.need(most == str(limit), f"the limit was to stay at {limit}, and is {most}")
    scene.need(not box.is_paused(), "the box is paused, so the bomb only sleeps")
    left = set(scene.processes(box.name)) - {scene.pid(box.name), scene.still("program")}
    scene.saw("other processes than PID 1 and the program", len(left), f"{folder}/cgroup.procs")
    scene.need(not left, f"{len(left)} processes of the bomb still run")


EXERCISE = course.Exercise(
    task="In the box {box} a fork bomb has met the limit of {limit} processes. Stop the bomb, but not the box: its"
    " program `sleep {work}` goes on, and the limit stays as it is. While the limit is reached, a shell of"
    " `tinybox exec` can hardly make a process there. cgroup.procs in the control group lists the processes,"
    " pids.events the refused forks.",
    hints=(
        "While you read the list of the processes, the bomb may make new ones. How can all of them be held still?",
        "`tinybox pause {box}` freezes all processes. A signal waits until they go on, and is then seen first.",
        "Kill, from the host, all shells and awks of `tinybox top {box}`, then `tinybox unpause {box}`.",
    ),
    solution="Freeze, kill, thaw:\n  tinybox pause {box}\n"
    "  kill -9 $(tinybox top {box} -o pid,args | awk '$2 ~ /^(sh|awk)$/ {{print $1}}')\n  tinybox unpause {box}",
    draw=draw,
    prepare=prepare,
    check=check,
    needs="the controllers pids and cpu",
)
