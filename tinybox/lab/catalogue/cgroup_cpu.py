"""The CPU limit of a control group: a ration for each tenth of a second.

With a limit of 0.2 a group gets 20 milliseconds of CPU in each period of 100. Who has used them up stands still until
the next period begins, however idle the machine is: that is throttling, and cpu.stat counts it.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tinybox.isolation.cgroups import stats
from tinybox.lab.course import Lab

if TYPE_CHECKING:
    from tinybox.lab.bench import Bench
    from tinybox.lab.box import Box

LIMIT, PERIODS = 0.2, 12
SECOND = 10**9  # in nanoseconds
GENEROUS = {"cpus": "1.0"}  # more than one process can use: the group counts, and never holds it back


def spin() -> None:
    """In the box: be busy for ever."""
    while True:
        pass


def used(box: Box) -> int:
    """Return the CPU time of all processes of the box in nanoseconds; see cpu.stat in cgroups(7)."""
    return stats.cpu(box.container.cgroup)["cpu_usage"] or 0


def throttled(box: Box) -> int:
    """Return in how many periods the box was held back: nr_throttled in cpu.stat."""
    return stats.cpu(box.container.cgroup)["cpu_throttled"] or 0


def window(bench: Bench, box: Box) -> tuple[float, int]:
    """Return which share of a CPU the box got over some periods, and in how many of them it was held back."""
    periods = stats.cpu(box.container.cgroup)["cpu_periods"] or 0
    began, before, held_before = time.monotonic_ns(), used(box), throttled(box)
    bench.until(lambda: (stats.cpu(box.container.cgroup)["cpu_periods"] or 0) >= periods + PERIODS)
    return (used(box) - before) / (time.monotonic_ns() - began), throttled(box) - held_before


def check(bench: Bench, *, feature: bool) -> None:
    """Let a busy program run through some periods, and compare its CPU time with the time.

    Where our own CPU is taken away, as in a virtual machine, a period may seem to have more in it, or less: hence a
    second look. Who does not get as much as the limit allows is not held back by it.
    """
    with bench.box(spin, **({"cpus": str(LIMIT)} if feature else GENEROUS)) as box:
        bench.until(lambda: stats.cpu(box.container.cgroup)["cpu_periods"], "the first period")
        share, held = window(bench, box)
        if feature and (share >= LIMIT * 1.4 or held <= PERIODS / 2):
            share, held = window(bench, box)
        name = box.container.cgroup.name
    bench.on_host("share of a CPU", f"{share:.2f}", f"CPU time of the group {name} over time")
    bench.on_host("periods held back", f"{held} of {PERIODS}", "nr_throttled in cpu.stat, after and before")
    if feature:
        bench.need(share > LIMIT * 0.9, f"a starved CPU: the box got {share:.2f}, less than its limit")
    bench.claim("it gets a fifth of a CPU", share < LIMIT * 1.4)
    bench.claim("it is held back in most periods", held > PERIODS / 2)


LAB = Lab(
    question="A busy loop runs in a box with --cpus 0.2, on an idle machine. How much of a CPU does it get?",
    answer="A fifth, and not a bit of what lies idle: it runs 20 ms, and is held back for the other 80 of each period.",
    control="--cpus 1.0, which one process cannot exceed: it is not held back",
    check=check,
)
