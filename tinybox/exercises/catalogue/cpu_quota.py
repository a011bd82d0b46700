"""Find the throttled box, and give it more.

A CPU limit is a quota of time in each period. A box that has used its quota sleeps until the next period begins; the
kernel counts how often. Such a box is slow, and yet uses little CPU: the counter tells it from an idle one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinybox.exercises import course
from tinybox.isolation.cgroups import files

if TYPE_CHECKING:
    import random

    from tinybox.exercises.scene import Scene
    from tinybox.isolation.cgroups.group import Cgroup

BUSY = "if [ -e /job/busy ]; then while :; do :; done; else exec sleep 1000000; fi"


def draw(draws: random.Random) -> dict[str, Any]:
    """Draw three boxes, the busy one, and the percentage of a CPU that it is to get."""
    boxes = course.boxes(draws, "cpu-quota", 3)
    return {"boxes": boxes, "busy": draws.choice(boxes), "percent": draws.randint(8, 20)}


def prepare(scene: Scene) -> None:
    """Make three boxes with 5 % of a CPU, one of which wants all of it; wait until it is throttled."""
    for name in scene.numbers["boxes"]:
        scene.put(f"{name}/name", name)
        if name == scene.numbers["busy"]:
            scene.put(f"{name}/busy", "")
        scene.box(name, "sh", "-c", BUSY, volume=[f"{scene.folder}/{name}:/job:ro"], cpus="0.05")
    scene.until(lambda: throttled(scene.running(scene.numbers["busy"]).group) > 1, "the throttling")


def throttled(group: Cgroup) -> int:
    """Return in how many periods the group had used up its quota; see cpu.stat in cgroups(7)."""
    return files.keyed(group.read("cpu", "cpu.stat")).get("nr_throttled", 0)


def share(group: Cgroup) -> tuple[float | None, str]:
    """Return the CPUs that a group may use (None: all of them), and the file or files that say so."""
    if group.hierarchies.version("cpu") == 2:
        quota, _, period = (group.read("cpu", "cpu.max") or "max 100000").strip().partition(" ")
        names = "cpu.max"
    else:
        quota, period = (group.read("cpu", f"cpu.cfs_{each}_us") or "-1" for each in ("quota", "period"))
        names = "cpu.cfs_quota_us and cpu.cfs_period_us"
    source = f"{names} in {group.directory('cpu')}"
    return (None if quota.strip() in ("max", "-1") else int(quota) / int(period)), source


def check(scene: Scene, answer: str) -> None:
    """Read the limits of all boxes, and how often each was throttled."""
    del answer
    busy, wanted = scene.numbers["busy"], scene.numbers["percent"]
    found = {name: scene.running(name).group for name in scene.numbers["boxes"]}
    for name, group in found.items():
        limit, source = share(group)
        scene.saw(f"CPU of {name}", "no limit" if limit is None else f"{limit:.2f}", source)
        scene.saw(
            f"times that {name} was throttled", throttled(group), f"nr_throttled in {group.directory('cpu')}/cpu.stat"
        )
        expected = wanted / 100 if name == busy else 0.05
        if limit is None or round(limit, 3) != expected:
            say = f"the throttled box is to have {wanted} %" if name == busy else f"the box {name} was to keep its 5 %"
            scene.need(False, say)


EXERCISE = course.Exercise(
    task="The boxes {names} may use 5 % of a CPU each. One of them wants more, and the kernel throttles it. Find it,"
    " and"
    " let it use {percent} % of a CPU; the others keep what they have. cpu.stat in the control group of a box, and"
    " `tinybox stats`, show it.",
    hints=(
        "nr_throttled in cpu.stat counts the periods in which the box had used up its quota.",
        "/proc/PID/cgroup names the control group of a process: look below /sys/fs/cgroup, with cgroup v1 under cpu.",
        "`tinybox update --cpus NUMBER BOX` changes the limit; 1 is a whole CPU.",
    ),
    solution="Only {busy} is throttled:\n  tinybox stats --no-stream {list}\n"
    "  tinybox update --cpus $(echo {percent} | awk '{{print $1/100}}') {busy}",
    draw=draw,
    prepare=prepare,
    check=check,
    needs="the controller cpu",
)
