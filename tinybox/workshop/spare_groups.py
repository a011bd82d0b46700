"""The control groups of a spare host: at most a hundred processes, and a tree of groups below, which the student fills.

The spare host is in a cgroup namespace, so it sees its own group as the root of /sys/fs/cgroup; cgroup_namespaces(7). A
process outside of it, the keeper, removes all of these groups when the check has ended, also by SIGKILL.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from tinybox.errors import TinyboxError
from tinybox.isolation import mounts
from tinybox.isolation.cgroups import files, visible_tree
from tinybox.isolation.cgroups.files import Setting
from tinybox.isolation.cgroups.group import Cgroup, place
from tinybox.isolation.cgroups.hierarchies import hierarchies
from tinybox.linux import process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PROCESSES = 100  # at most, together
CONTROLLERS = ("memory", "pids")  # those that the student limits
TREE = "/sys/fs/cgroup"
OWN = "host"  # the group of the spare host's first process; in version 2 only the leaves of the tree hold processes
SWAP = {1: ("memory.swappiness", "0"), 2: ("memory.swap.max", "0")}  # without swap, a limit of memory kills


@contextlib.contextmanager
def kept() -> Iterator[Callable[[int], None]]:
    """Keep a control group for the spare host, so that a loop of fork(2) ends; yield how a process joins it.

    Without the controller pids there is no such limit, and no group.
    """
    where = hierarchies()
    if not where.version("pids"):
        yield lambda _: None
        return
    group = Cgroup(place(f"workshop-{os.urandom(6).hex()}"), where, available())
    with _keeper(group):
        group.create()
        group.apply(Setting("pids", "pids.max", str(PROCESSES)))
        if version := where.version("memory"):
            with contextlib.suppress(OSError):  # a kernel without swap has no such file
                files.write(f"{group.directory('memory')}/{SWAP[version][0]}", SWAP[version][1])
        yield lambda pid: group.join(pid, unified=True)


def available() -> list[str]:
    """Return which of CONTROLLERS this host has."""
    return [each for each in CONTROLLERS if hierarchies().version(each)]


@contextlib.contextmanager
def _keeper(group: Cgroup) -> Iterator[None]:
    """Fork a process that removes *group* as soon as this process leaves the block, or has ended."""
    ended, alive = os.pipe()
    keeper = os.fork()
    if keeper == 0:
        status = 1
        try:
            os.setsid()  # Ctrl-C is for the check; the keeper ends after it
            process.set_name(b"spare groups")
            os.close(alive)
            os.read(ended, 1)
            group.remove()
            status = 0
        finally:
            os._exit(status)
    os.close(ended)
    try:
        yield
    finally:
        os.close(alive)
        _, status = os.waitpid(keeper, 0)
    if status:
        raise TinyboxError("workshop", f"the control group {group.name} stays", "tinybox doctor --fix removes it")


def show() -> None:
    """As the first process of the spare host, in its group: make this group the root of /sys/fs/cgroup.

    In version 2 the process moves into the group OWN below it, and the controllers are passed on to all groups below:
    so it is on a host with systemd. See cgroups(7), "No internal processes".
    """
    where = hierarchies()
    if not where.version("pids"):
        return
    process.unshare(process.CLONE_NEWCGROUP)
    visible_tree.mount_cgroups(b"/", os.fsencode(TREE), where, available(), mounts.Options([]))
    if where.mode == "v2":
        os.mkdir(f"{TREE}/{OWN}")
        files.write(f"{TREE}/{OWN}/cgroup.procs", "0")
        files.write(f"{TREE}/cgroup.subtree_control", " ".join(f"+{each}" for each in available()))
