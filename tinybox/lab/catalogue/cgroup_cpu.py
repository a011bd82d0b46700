"""The CPU limit of a control group: a ration for each tenth of a second.

With a limit of 0.2 a group gets 20 milliseconds of CPU in each period of 100. When it has used them up, it stands still
until the next period begins, however idle the machine is. This is throttling, and cpu.stat counts it.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tinybox.isolation.cgroups import stats
from tinybox.lab.course import Lab
from tinybox.pictures.series import Axis, Curve, Curves

if TYPE_CHECKING:
    from tinybox.lab.bench import Bench
    from tinybox.lab.box import Box

LIMIT, PERIODS = 0.2, 12
PERIOD, SHOWN = 100.0, 5  # milliseconds of a period; how many of them are drawn
GENEROUS = {"cpus": "1.0"}  # one process cannot use more: the group counts its time, and never throttles it


def spin() -> None:
    """In the box: use the CPU for ever."""
    while True:
        pass


def used(box: Box) -> int:
    """Return the CPU time of all processes of the box in nanoseconds; see cpu.stat in cgroups(7)."""
    return stats.cpu(box.container.cgroup)["cpu_usage"] or 0


def throttled(box: Box) -> int:
    """Return in how many periods the box was throttled: nr_throttled in cpu.stat."""
    return stats.cpu(box.container.cgroup)["cpu_throttled"] or 0


def window(bench: Bench, box: Box) -> tuple[float, int]:
    """Return which share of a CPU the box got over some periods, and in how many of them it was throttled."""
    periods = stats.cpu(box.container.cgroup)["cpu_periods"] or 0
    began, before, held_before = time.monotonic_ns(), used(box), throttled(box)
    bench.until(lambda: (stats.cpu(box.container.cgroup)["cpu_periods"] or 0) >= periods + PERIODS)
    return (used(box) - before) / (time.monotonic_ns() - began), throttled(box) - held_before


def draw(bench: Bench, box: Box, held: int) -> None:
    """Note the CPU time of the box for a few periods, read again and again, beside the time of the clock."""
    began, start, points = time.monotonic(), used(box), [(0.0, 0.0)]
    while points[-1][0] < PERIOD * SHOWN:
        points.append(((time.monotonic() - began) * 1000, (used(box) - start) / 1e6))
    limit = [(0.0, 0.0), (PERIOD * SHOWN, PERIOD * SHOWN * LIMIT)]
    thinned = [here for last, here in zip([(-1.0, -1.0), *points], points, strict=False) if here[1] > last[1]]
    says = f"A level line is a time without CPU: in {held} of the {PERIODS} periods before, the box was throttled."
    bench.draw(
        Curves("CPU time of a busy box", says, f"cpu.stat of {box.container.cgroup.name}, read {len(points)} times",
               Axis("milliseconds by the clock"), Axis("milliseconds of CPU time"),
               [Curve("the box", [*thinned, points[-1]], "steps"), Curve("a fifth of the time", limit)])
    )  # fmt: skip


def check(bench: Bench, *, feature: bool) -> None:
    """Let a busy program run through some periods, and compare its CPU time with the time of the clock.

    In a virtual machine the host may take the CPU away, and then a period seems longer or shorter than it is. So a bad
    measurement is repeated once. A box that gets less than its limit is not throttled by it.
    """
    with bench.box(spin, **({"cpus": str(LIMIT)} if feature else GENEROUS)) as box:
        bench.until(lambda: stats.cpu(box.container.cgroup)["cpu_periods"], "the first period")
        share, held = window(bench, box)
        if feature and (share >= LIMIT * 1.4 or held <= PERIODS / 2):
            share, held = window(bench, box)
        name = box.container.cgroup.name
        draw(bench, box, held)
    bench.on_host("share of a CPU", f"{share:.2f}", f"CPU time of the group {name} over time")
    bench.on_host("throttled periods", f"{held} of {PERIODS}", "nr_throttled in cpu.stat, after and before")
    if feature:
        bench.need(share > LIMIT * 0.9, f"a starved CPU: the box got {share:.2f}, less than its limit")
    bench.claim("it gets a fifth of a CPU", share < LIMIT * 1.4)
    bench.claim("it is throttled in most periods", held > PERIODS / 2)


LAB = Lab(
    question="A busy loop runs in a box with --cpus 0.2. How much of a CPU does it get, and is it slowed or stopped?",
    answer="A fifth. It is stopped, not slowed: in most periods of 100 ms it uses up its 20 ms, and is throttled until"
    " the next one.",
    control="--cpus 1.0, which one process cannot exceed: it is not throttled",
    check=check,
)
