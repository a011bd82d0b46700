"""Limits of control groups take effect: each is met by a process that exceeds it, and by one without the limit."""

from __future__ import annotations

import errno
import os
import select
import signal
import stat
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.cgroup_children import MIB, VIEWS, end, group_with, run, sleep_for_ever, start, until
from tinybox.errors import HostError, UsageError
from tinybox.isolation.cgroups.device_rules import DEFAULT_DEVICES
from tinybox.isolation.cgroups.files import Setting
from tinybox.isolation.cgroups.group import Cgroup
from tinybox.isolation.cgroups.limits import settings
from tinybox.isolation.cgroups.out_of_memory import OomWatch, memory_limit, oom_kills
from tinybox.isolation.cgroups.stats import stats

if TYPE_CHECKING:
    from pathlib import Path

    from tinybox.isolation.cgroups.hierarchies import Hierarchies

pytestmark = pytest.mark.root

KMSG = os.makedev(1, 11)
NONE: dict[str, Any] = {"allow": False, "access": "rwm"}
BLINK = 1.0  # seconds: the least time over which a quota is measured


@pytest.fixture(params=list(VIEWS.values()), ids=list(VIEWS))
def where(request: pytest.FixtureRequest) -> Hierarchies:
    """Give the host's hierarchies as they are, and on a hybrid host also as if only version 1 were there."""
    view: Hierarchies = request.param
    return view


def hog() -> int:
    """Allocate 64 MiB and write to all of it."""
    return 0 if len(b"x" * (64 * MIB)) else 1


def forks() -> int:
    """Fork up to six children and return how many there were when fork(2) failed with EAGAIN."""
    pids: list[int] = []
    try:
        for _ in range(6):
            pid = os.fork()
            if pid == 0:
                sleep_for_ever()
            pids.append(pid)
    except BlockingIOError:
        pass
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    return len(pids)


def spin() -> None:
    """Use a CPU until this process is killed."""
    while True:
        pass


def opened(path: str) -> int:
    """Return 0 or the errno of open(2) for reading."""
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
    except OSError as error:
        return error.errno or 0
    return 0


@pytest.mark.parametrize(("limit", "status"), [(16 * MIB, -signal.SIGKILL), (-1, 0)])
def test_a_process_that_takes_more_memory_than_its_group_has_is_killed(
    where: Hierarchies, limit: int, status: int
) -> None:
    """A process that takes 64 MiB in a group of 16 ends by SIGKILL and is counted; without a limit it goes on."""
    with group_with(where, {"memory": {"limit": limit}}) as group:
        assert run(group, hog) == status
        assert bool(oom_kills(group)) == (status != 0)
        assert memory_limit(group) == (limit if limit > 0 else None)


def test_the_watch_reports_the_oom_killer_and_kill_ends_the_rest(where: Hierarchies) -> None:
    """In 32 MiB one process sleeps and another grows: the watch wakes, and after kill() no process is left."""
    with group_with(where, {"memory": {"limit": 32 * MIB}}) as group, OomWatch(group) as watch:
        poll = select.poll()
        poll.register(watch, watch.mask)
        assert poll.poll(0) == []
        assert not watch.struck()
        bystander = start(group, sleep_for_ever)
        victim = start(group, hog)
        until(lambda: poll.poll(100) and watch.struck())
        until(lambda: oom_kills(group) > 0)  # version 1 reports it before it kills: kill() would be faster
        group.kill()
        assert group.processes() == []
        assert [end(victim), end(bystander)] == [-signal.SIGKILL] * 2


def test_a_watch_is_not_woken_by_a_process_within_its_limit(where: Hierarchies) -> None:
    """The same process with enough memory does not wake the watch."""
    with group_with(where, {"memory": {"limit": 256 * MIB}}) as group, OomWatch(group) as watch:
        assert run(group, hog) == 0
        poll = select.poll()
        poll.register(watch, watch.mask)
        assert not poll.poll(50) or not watch.struck()
        assert oom_kills(group) == 0


@pytest.mark.parametrize(("limit", "children"), [(3, 2), (-1, 6)])
def test_fork_fails_at_the_pids_limit(where: Hierarchies, limit: int, children: int) -> None:
    """With three processes in all, a parent has two children and no more; without a limit it has all six."""
    with group_with(where, {"pids": {"limit": limit}}) as group:
        assert run(group, forks) == children


def test_a_quota_limits_a_busy_process_to_its_share_of_a_cpu(where: Hierarchies) -> None:
    """At 20 % a loop is throttled and uses 0.2 CPU; the same loop without a quota, at the same time, uses more."""
    quota = {"cpu": {"quota": 20_000, "period": 100_000}}
    with group_with(where, quota) as slow, group_with(where, {"cpu": {"quota": -1}}) as fast:
        put_first(os.path.dirname(slow.name), where)
        pids = [start(slow, spin), start(fast, spin)]
        begin, before = time.monotonic(), [cpu_seconds(pid) for pid in pids]
        time.sleep(BLINK)

        def used(number: int) -> float:
            return cpu_seconds(pids[number]) - before[number]

        def share() -> float:
            return used(0) / (time.monotonic() - begin)

        # CPU time that a hypervisor takes away counts as used by the process: on a machine that shares its CPUs, the
        # slow loop may exceed its share for a while, until the scheduler has balanced it.
        until(lambda: stats(slow)["cpu_throttled_time"] and used(1) > 1.5 * used(0) and share() < 0.3)
        taken, counted, free = used(0), stats(slow), stats(fast)
        slow.kill()
        fast.kill()
        for pid in pids:
            end(pid)
    assert counted["cpu_throttled"]
    assert counted["cpu_throttled_time"]
    assert not free["cpu_throttled"]
    if where.unified is not None:
        assert (counted["cpu_usage"] or 0) > 0.5 * taken * 10**9


def put_first(name: str, where: Hierarchies) -> None:
    """Give the group *name* the largest CPU weight, so that other programs do not take the CPUs of its children."""
    for setting in settings({"cpu": {"shares": 2**18}}, where):
        Cgroup(name, where).apply(setting)


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process by the scheduler's own count; see schedstat in proc_pid(5)."""
    with open(f"/proc/{pid}/schedstat", encoding="utf-8") as file:
        return int(file.read().split()[0]) / 10**9


def test_a_cpuset_pins_its_processes(where: Hierarchies) -> None:
    """With ``cpus`` 0 a process may run on CPU 0 alone; the test itself may use more, if the machine has more."""
    with group_with(where, {"cpu": {"cpus": "0"}}) as group:
        assert run(group, lambda: int(os.sched_getaffinity(0) != {0})) == 0
    with group_with(where) as group:
        assert run(group, lambda: len(os.sched_getaffinity(0))) == len(os.sched_getaffinity(0))


def test_only_devices_of_the_list_open(where: Hierarchies) -> None:
    """/dev/null opens and /dev/kmsg is refused with EPERM; without the filter both open."""
    with group_with(where, {"devices": DEFAULT_DEVICES}) as group:
        assert run(group, lambda: opened("/dev/null")) == 0
        assert run(group, lambda: opened("/dev/urandom")) == 0
        assert run(group, lambda: opened("/dev/kmsg")) == errno.EPERM
        assert run(group, lambda: int(not os.access("/dev/null", os.F_OK))) == 0
    with group_with(where) as group:
        assert run(group, lambda: opened("/dev/kmsg")) == 0


def test_a_device_file_may_be_made_but_not_used(where: Hierarchies, tmp_path: Path) -> None:
    """mknod(2) of /dev/kmsg's numbers works, opening the new name does not; a rule without ``m`` forbids both."""
    path = str(tmp_path / "kmsg")

    def make() -> int:
        try:
            os.mknod(path, stat.S_IFCHR | 0o600, KMSG)
        except PermissionError as error:
            return error.errno or 0
        return 0

    strict: list[dict[str, Any]] = [NONE, {"allow": True, "type": "c", "access": "rw"}]
    with group_with(where, {"devices": strict}) as group:
        assert run(group, make) == errno.EPERM
    with group_with(where, {"devices": DEFAULT_DEVICES}) as group:
        assert run(group, make) == 0
        assert run(group, lambda: opened(path)) == errno.EPERM


def test_a_rule_for_one_device_lets_that_one_through(where: Hierarchies) -> None:
    """A later rule for /dev/kmsg allows it again, for reading and not for writing."""
    rule = {"allow": True, "type": "c", "major": 1, "minor": 11, "access": "r"}

    def write() -> int:
        try:
            os.close(os.open("/dev/kmsg", os.O_WRONLY))
        except PermissionError as error:
            return error.errno or 0
        return 0

    with group_with(where, {"devices": [*DEFAULT_DEVICES, rule]}) as group:
        assert run(group, lambda: opened("/dev/kmsg")) == 0
        assert run(group, write) == errno.EPERM


def test_a_later_rule_removes_an_earlier_permission(where: Hierarchies) -> None:
    """A rule that covers the whole permission removes it; a part is removed in version 2, refused in version 1."""
    device = {"type": "c", "major": 1, "minor": 11, "access": "rw"}
    for wide in (device, {"type": "c", "major": 1, "access": "rw"}):
        with group_with(where, {"devices": [NONE, {**device, "allow": True}]}) as group:
            assert run(group, lambda: opened("/dev/kmsg")) == 0
        with group_with(where, {"devices": [NONE, {**device, "allow": True}, {**wide, "allow": False}]}) as group:
            assert run(group, lambda: opened("/dev/kmsg")) == errno.EPERM
    hole = [NONE, {"allow": True, "type": "c", "access": "rw"}, {**device, "allow": False}]
    if where.version("devices") == 1:
        says = r"linux\.resources\.devices: version 1 cannot refuse c 1:11 rw"
        with pytest.raises(UsageError, match=says), group_with(where, {"devices": hole}):
            pass
        return
    with group_with(where, {"devices": hole}) as group:
        assert run(group, lambda: opened("/dev/kmsg")) == errno.EPERM
        assert run(group, lambda: opened("/dev/null")) == 0


def test_figures_are_those_of_the_group(where: Hierarchies) -> None:
    """A sleeping process is one pid and some memory; a limit is reported as it was written."""
    with group_with(where, {"memory": {"limit": 64 * MIB}, "pids": {"limit": 9}}) as group:
        pid = start(group, sleep_for_ever)
        until(lambda: stats(group)["memory"])
        figures = stats(group)
        group.kill()
        end(pid)
    assert (figures["pids"], figures["pids_limit"], figures["memory_limit"]) == (1, 9, 64 * MIB)
    assert (figures["memory_peak"] or 64 * MIB) >= (figures["memory"] or 0) > 0
    assert figures["oom_kills"] == 0


def test_a_swap_limit_excludes_memory_in_version_2(where: Hierarchies) -> None:
    """32 MiB of memory and 48 in all are 16 of swap in version 2, and 48 of both in version 1, as read back."""
    with group_with(where, {"memory": {"limit": 32 * MIB, "swap": 48 * MIB}}) as group:
        alone, both = group.read("memory", "memory.swap.max"), group.read("memory", "memory.memsw.limit_in_bytes")
    assert (alone, both) == ((None, f"{48 * MIB}\n") if where.version("memory") == 1 else (f"{16 * MIB}\n", None))


def test_a_value_that_the_kernel_refuses_is_reported_with_the_file(where: Hierarchies) -> None:
    """A wrong value, and a file that this kernel does not have, are errors that name the file."""
    with group_with(where, {"pids": {"limit": 5}}) as group:
        with pytest.raises(HostError, match=r"pids\.max = many: the kernel refuses the value"):
            group.apply(Setting("pids", "pids.max", "many"))
        with pytest.raises(HostError, match="no such file"):
            group.apply(Setting("pids", "pids.colour", "red"))
