"""The life of a control group on this machine's own cgroup file systems, v2 and v1."""

from __future__ import annotations

import mmap
import os
import signal
import time
from typing import TYPE_CHECKING

import pytest

from tests.support.cgroup_children import HOST, VIEWS, end, group_with, new_name, run, sleep_for_ever, start, until
from tinybox.errors import HostError, StateError
from tinybox.isolation.cgroups.group import Cgroup
from tinybox.isolation.cgroups.hierarchies import Hierarchies
from tinybox.linux import process

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.root


@pytest.fixture(params=list(VIEWS.values()), ids=list(VIEWS))
def where(request: pytest.FixtureRequest) -> Hierarchies:
    """Give the host's hierarchies as they are, and on a hybrid host also as if only version 1 were there."""
    view: Hierarchies = request.param
    return view


@pytest.fixture
def group(where: Hierarchies) -> Iterator[Cgroup]:
    """Make a group with memory and pids, in whichever hierarchies offer them."""
    with group_with(where, {"memory": {"limit": -1}, "pids": {"limit": -1}}) as group:
        yield group


def directories(group: Cgroup) -> list[str]:
    """List the directories of the group."""
    return [path for root in group.hierarchies.roots() if os.path.isdir(path := f"{root}/{group.name}")]


def test_a_group_stands_in_the_hierarchies_that_it_needs_and_in_no_other(group: Cgroup, where: Hierarchies) -> None:
    """Memory, pids and the freezer have their directories; of the other controllers of v1 none is made."""
    needed = {group.directory(name) for name in ("memory", "pids", "freezer")}
    assert set(directories(group)) == needed


def test_remove_deletes_groups_below_and_the_empty_parent(where: Hierarchies) -> None:
    """Groups that the container made are removed, too; the common parent stays while another group is in it."""
    with group_with(where) as neighbour:
        with group_with(where, {"memory": {"limit": -1}}) as group:
            parents = [os.path.dirname(path) for path in directories(group)]
            for path in directories(group):
                os.makedirs(f"{path}/made/inside")
        assert directories(group) == []
        assert [parent for parent in parents if os.path.isdir(parent)] == [
            os.path.dirname(path) for path in directories(neighbour)
        ]
    assert not any(map(os.path.isdir, parents))


def test_remove_waits_for_a_process_that_is_ending_but_not_for_one_that_stays(
    where: Hierarchies, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process in the group makes rmdir(2) fail: the error names its pid, and nothing is removed."""
    monkeypatch.setattr("tinybox.isolation.cgroups.group.PATIENCE", 0.05)
    with group_with(where) as group:
        pid = start(group, sleep_for_ever)
        with pytest.raises(StateError, match=str(pid)):
            group.remove()
        os.kill(pid, signal.SIGKILL)
        monkeypatch.undo()
        group.remove()  # not waited for: the process may be a zombie
        assert directories(group) == []
        assert end(pid) == -signal.SIGKILL


def test_a_second_group_of_the_same_name_is_refused_and_the_first_one_unharmed(group: Cgroup) -> None:
    """Creation is exclusive: a group that another program made is neither taken over nor removed."""
    before = directories(group)
    with pytest.raises(StateError, match="exists"):
        Cgroup(group.name, group.hierarchies, group.controllers).create()
    assert directories(group) == before


def test_create_is_all_or_nothing(where: Hierarchies, tmp_path: object) -> None:
    """If a later hierarchy refuses, the directories in the earlier ones are removed again."""
    broken = Hierarchies(where.unified, where.v2_controllers, {**where.v1, "net_cls": f"{tmp_path}/missing"})
    group = Cgroup(new_name(), broken, {"net_cls"})
    with pytest.raises(HostError):
        group.create()
    assert directories(group) == []
    assert not os.path.isdir(os.path.dirname(group.directory("freezer") or ""))


def test_parallel_creation_does_not_lose_the_common_parent(where: Hierarchies) -> None:
    """Each of four processes makes and removes a group 25 times below one parent, and none of them fails."""
    with group_with(where) as helper:
        parent = f"{helper.name.partition('/')[0]}-many"

        def work() -> None:
            for _ in range(25):
                group = Cgroup(f"{parent}/{os.getpid()}", where, {"memory", "pids"})
                group.create()
                group.remove()

        pids = [start(helper, work) for _ in range(4)]
        assert [end(pid) for pid in pids] == [0, 0, 0, 0]
    assert not any(os.path.isdir(f"{root}/{parent}") for root in where.roots())


def test_kill_ends_all_processes_in_the_group_and_no_others(where: Hierarchies) -> None:
    """A grandchild in a session of its own, and one in a group below, end with the others; a neighbour goes on."""

    def family() -> None:
        if os.fork() == 0:
            os.setsid()
        sleep_for_ever()

    with group_with(where) as group, group_with(where) as neighbour:
        for path in directories(group):  # not with create(): it requires that the group above has no processes
            os.mkdir(f"{path}/below")
        below = Cgroup(f"{group.name}/below", where)
        pids, other = [start(group, family), start(below, sleep_for_ever)], start(neighbour, sleep_for_ever)
        until(lambda: len(group.processes()) == 3)
        group.kill()
        assert group.processes() == []
        assert [end(pid) for pid in pids] == [-signal.SIGKILL] * 2
        assert neighbour.processes() == [other]
        assert os.waitpid(other, os.WNOHANG) == (0, 0)
        neighbour.kill()
        end(other)


def test_kill_of_an_empty_group_returns_at_once(group: Cgroup) -> None:
    """An empty group is no error."""
    group.kill()
    assert group.processes() == []


def test_a_frozen_group_can_be_killed(where: Hierarchies) -> None:
    """Version 1 keeps SIGKILL waiting while the group is frozen, as the control shows; kill() thaws it."""
    with group_with(where) as group:
        pid = start(group, sleep_for_ever)
        group.freeze()
        if where.unified is None:
            os.kill(pid, signal.SIGKILL)
            time.sleep(0.1)
            assert os.waitpid(pid, os.WNOHANG) == (0, 0)
        group.kill()
        assert end(pid) == -signal.SIGKILL


def test_frozen_processes_make_no_progress_until_they_are_thawed(where: Hierarchies) -> None:
    """A counter in shared memory rises, stands still between freeze() and thaw(), and rises again."""
    memory = mmap.mmap(-1, mmap.PAGESIZE)

    def counter() -> int:
        return int.from_bytes(memory[:8], "little")

    def count() -> None:
        while True:
            memory[:8] = (counter() + 1).to_bytes(8, "little")

    with group_with(where) as group:
        pid = start(group, count)
        until(lambda: counter() > 0)
        group.freeze()
        frozen_at = counter()
        time.sleep(0.1)
        assert counter() == frozen_at
        group.thaw()
        until(lambda: counter() > frozen_at)
        group.kill()
        end(pid)
    memory.close()


def test_a_group_is_opened_again_by_its_name_alone(group: Cgroup) -> None:
    """The name alone is enough for another process to list, join, kill and remove the group."""
    again = Cgroup(group.name, group.hierarchies)
    pid = start(again, sleep_for_ever)
    with open(f"/proc/{pid}/cgroup", encoding="utf-8") as file:
        assert file.read().count(f"/{group.name}\n") == len(directories(group))
    again.kill()
    assert end(pid) == -signal.SIGKILL
    again.remove()
    assert directories(group) == []


@pytest.mark.skipif(HOST.unified is None, reason="CLONE_INTO_CGROUP needs cgroup2")
def test_a_child_is_made_in_the_group_and_joins_version_1_later() -> None:
    """With CLONE_INTO_CGROUP the child is in v2 before it runs; join() adds v1; without the flag it is in neither."""
    with group_with(HOST, {"memory": {"limit": -1}}) as group:
        fd = group.open()
        assert fd is not None
        pids = []
        for wish in (fd, None):
            pid, pidfd = process.clone3(0, cgroup=wish)
            if pid == 0:
                sleep_for_ever()
            os.close(pidfd)
            pids.append(pid)
        os.close(fd)
        assert group.processes() == pids[:1]
        group.join(pids[0])
        with open(f"{group.directory('memory')}/cgroup.procs", encoding="utf-8") as file:
            assert file.read() == f"{pids[0]}\n"
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
            end(pid)


def test_a_process_that_is_gone_cannot_be_added(group: Cgroup) -> None:
    """An unused pid is ESRCH, not silence."""
    pid = os.posix_spawn("/bin/true", ["true"], {})
    end(pid)
    with pytest.raises(ProcessLookupError):
        group.join(pid, unified=True)


@pytest.mark.skipif(HOST.mode != "v2", reason="only pure v2 enables controllers below the root")
def test_a_group_with_processes_cannot_have_limited_groups_below_it() -> None:
    """The error explains the kernel's rule of "no internal processes"."""
    with group_with(HOST) as group:
        pid = start(group, sleep_for_ever)
        with pytest.raises(HostError, match="internal processes"):
            Cgroup(f"{group.name}/below", HOST).create()
        group.kill()
        end(pid)


def test_a_child_in_a_group_ends_with_its_own_status(group: Cgroup) -> None:
    """The control of these tests' own helper."""
    assert run(group, lambda: 7) == 7
