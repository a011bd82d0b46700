"""Processes with limits: a group for one test, and children that are in it before their first instruction."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import time
import traceback
from typing import TYPE_CHECKING, Any

from tests.support import no_trace
from tests.support.slowness import SLOWNESS
from tinybox.isolation.cgroups import device_filter
from tinybox.isolation.cgroups.group import Cgroup
from tinybox.isolation.cgroups.hierarchies import Hierarchies, hierarchies
from tinybox.isolation.cgroups.limits import settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MIB = 2**20
PATIENCE = 60.0 * SLOWNESS  # seconds
WRONG = 99  # exit status of a child whose own code failed

HOST = hierarchies()
# A hybrid host is also tested as if it had no cgroup2: the same tests then use the real files of version 1.
VIEWS = {HOST.mode: HOST, **({"v1": Hierarchies(None, (), HOST.v1)} if HOST.mode == "hybrid" else {})}

_numbers = itertools.count()


def new_name() -> str:
    """Return the name of a group that no other test has."""
    return f"{no_trace.room()}-test-{os.getpid()}/{next(_numbers)}"


@contextlib.contextmanager
def group_with(where: Hierarchies, resources: dict[str, Any] | None = None) -> Iterator[Cgroup]:
    """Make a group with the limits of *resources*; at the end, kill the processes in it and remove it."""
    resources = resources or {}
    writes = settings(resources, where)
    devices = resources.get("devices")
    controllers = {write.controller for write in writes} | ({"devices"} if devices else set())
    group = Cgroup(new_name(), where, controllers)
    group.create()
    try:
        for write in writes:
            group.apply(write)
        if devices:
            device_filter.allow_devices(group, devices)
        yield group
    finally:
        group.kill()
        group.remove()


def start(group: Cgroup, work: Callable[[], int | None]) -> int:
    """Fork a child that enters *group* and then calls *work*; return its pid when it is in each hierarchy."""
    entered, entering = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = WRONG
        try:
            group.join(os.getpid(), unified=True)
            os.close(entering)
            status = work() or 0
        except BaseException:  # noqa: BLE001  a forked test must never return into pytest
            traceback.print_exc()
        finally:
            os._exit(status)
    os.close(entering)
    os.read(entered, 1)  # end of file: the child is in the group, or it has ended
    os.close(entered)
    return pid


def end(pid: int) -> int:
    """Wait for a child; return its exit status, or minus the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def run(group: Cgroup, work: Callable[[], int | None]) -> int:
    """Start a child in *group* and wait for it."""
    return end(start(group, work))


def sleep_for_ever() -> None:
    """Do nothing until this process is killed."""
    while True:
        signal.pause()


def until(fact: Callable[[], object]) -> None:
    """Wait for *fact* to become true; fail the test when it does not."""
    deadline = time.monotonic() + PATIENCE
    while not fact():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.002)
