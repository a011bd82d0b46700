"""The limit on processes: how pids.max stops a fork bomb.

Every process takes a number and some memory of the kernel, and both are limited. In a group with pids.max, fork(2)
fails with EAGAIN at the limit, and the rest of the machine is not affected.
"""

from __future__ import annotations

import errno
import os
import signal
from typing import TYPE_CHECKING

from tinybox.isolation.cgroups import files
from tinybox.lab.course import Lab

if TYPE_CHECKING:
    from tinybox.lab.bench import Bench

LIMIT, ENOUGH = 20, 60


def bomb(most: int) -> tuple[int, str]:
    """In the box: fork until fork(2) fails, or *most* children exist; return their number and the errno's name."""
    for made in range(most):
        try:
            child = os.fork()
        except OSError as error:
            return made, errno.errorcode[error.errno or 0]
        if child == 0:
            while True:
                signal.pause()
    return most, "none"


def breathe() -> str:
    """On the host: fork, and wait for the child; see fork(2)."""
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    return "forks"


def check(bench: Bench, *, feature: bool) -> None:
    """Let a program fork without end, and try on the host whether forking still works."""
    with bench.box(bomb, ENOUGH, pids_limit=str(LIMIT if feature else 10 * LIMIT)) as box:
        made, refusal = box.receive()
        group = box.container.cgroup
        met = files.keyed(group.read("pids", "pids.events")).get("max", 0)
        limit = (group.read("pids", "pids.max") or "").strip()
        with bench.process(breathe) as other:
            host = bench.on_host("at the same time, the host", other.receive(), "fork(2)")
    bench.on_host("limit", limit, f"pids.max of the group {group.name}")
    bench.on_host("refusals", met, "max in pids.events")
    bench.in_box("children", made, "fork(2), again and again")
    bench.in_box("then errno", refusal, "fork(2)")
    bench.claim("fork(2) is refused with EAGAIN", refusal == "EAGAIN")
    bench.claim("with its init and itself there are as many processes as the limit allows", made + 2 == LIMIT)
    bench.claim("the group has counted the refusal", met >= 1)
    bench.claim("the host can still fork", host == "forks")


LAB = Lab(
    question=f"A program forks without end in a box with --pids-limit {LIMIT}. How many processes does it make, and"
    " does the host suffer?",
    answer=f"It forks until there are {LIMIT} processes, with init and itself; then fork(2) fails with EAGAIN. The"
    " host can still fork.",
    control="a limit ten times as high: nothing is refused (the program stops by itself)",
    check=check,
)
