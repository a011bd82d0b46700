"""Kill the processes of a control group: by ``cgroup.kill``, or one by one where there is no such file; cgroups(7)."""

from __future__ import annotations

import os
import time

from tinybox.isolation.cgroups import files, frozen
from tinybox.linux.signals import signal
from tinybox.linux.waiting import until

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from tinybox.isolation.cgroups.hierarchies import Hierarchies

    class Group(Protocol):
        """A Cgroup; group.py, which imports this file, makes them."""

        hierarchies: Hierarchies

        def home(self) -> str:
            """Return the directory that has all the processes."""

        def processes(self) -> list[int]:
            """Return the pids in the group and the groups below it."""

        def thaw(self) -> None:
            """Let the processes continue."""


def kill(group: Group, deadline: float) -> bool:
    """Kill all processes; return whether they have ended before *deadline*, a time of time.monotonic()."""
    try:
        files.write(f"{group.home()}/cgroup.kill", "1")
    except FileNotFoundError:  # version 1, or a kernel before 5.14
        one_by_one(group, deadline)
    return wait_until_empty(group, deadline)


def one_by_one(group: Group, deadline: float) -> None:
    """Freeze all processes, send SIGKILL to each, and thaw: while frozen, none can fork, and no pid is used again.

    In a frozen group of version 1 even SIGKILL has to wait; so the group is thawed after it.
    """
    while (pids := group.processes()) and time.monotonic() < deadline:
        frozen.freeze(group.home(), group.hierarchies, min(deadline, time.monotonic() + 1))
        for pid in group.processes() or pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        group.thaw()
        wait_until_empty(group, min(deadline, time.monotonic() + 1))


def wait_until_empty(group: Group, deadline: float) -> bool:
    """Wait until the group has no process; return whether that is so before *deadline*, a time of time.monotonic()."""
    if group.hierarchies.unified is not None:
        return files.wait_for_event(group.home(), "populated 0", deadline)
    return until(lambda: not group.processes(), deadline, files.PAUSE)  # version 1 reports no change
