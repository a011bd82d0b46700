"""A child that does not end soon after SIGKILL: it has many processes, or a frozen control group of version 1."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from tests.support.cgroup_children import VIEWS, WRONG, group_with, sleep_for_ever, start
from tinybox.container.process import spawn
from tinybox.container.process.handles import Handles
from tinybox.isolation.cgroups import files, frozen
from tinybox.isolation.cgroups.hierarchies import hierarchies
from tinybox.linux import proc, process

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinybox.isolation.cgroups.hierarchies import Hierarchies

pytestmark = pytest.mark.root

CHILDREN, ROUNDS = 60, 10


def make_children(number: int, then: Callable[[], object]) -> None:
    """As the first process of a new pid namespace, make so many children, call *then*, and sleep; never return."""
    try:
        for _ in range(number):
            if os.fork() == 0:
                sleep_for_ever()
        then()
        sleep_for_ever()
    finally:
        os._exit(WRONG)  # a forked test must never return into pytest


def namespace_of(number: int, inner: int = 0) -> Handles:
    """Start the first process of a pid namespace with so many children, and wait for these.

    With *inner*, it has a child that is first in a pid namespace below, with *inner* children.
    """
    told, tell = os.pipe()

    def nest() -> None:
        if inner and process.clone3(process.CLONE_NEWPID)[0] == 0:
            make_children(inner, lambda: os.write(tell, b"x"))
        os.write(tell, b"x")

    handles = Handles()
    handles.pid, handles.pidfd = process.clone3(process.CLONE_NEWPID)
    if handles.pid == 0:
        make_children(number, nest)
    os.close(tell)
    heard = [os.read(told, 1) for _ in range(2 if inner else 1)]
    os.close(told)
    assert b"" not in heard, "a process has ended early"
    return handles


def test_the_end_of_many_processes_may_take_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    """No group is frozen, and the processes end while they are looked at; each round waits for all of them."""
    monkeypatch.setattr(spawn, "MOMENT", 0.0)
    looks, real = list[int](), frozen.take_out

    def take_out(pid: int, where: Hierarchies) -> None:
        looks.append(pid)
        real(pid, where)

    monkeypatch.setattr(frozen, "take_out", take_out)
    for _ in range(ROUNDS):
        handles = namespace_of(CHILDREN)
        spawn.kill(handles)
        assert proc.stat_of(handles.pid) is None
        handles.close()
    assert looks


@pytest.mark.parametrize("inner", [0, 2], ids=["one namespace", "a namespace in it"])
@pytest.mark.skipif("freezer" not in hierarchies().v1, reason="only version 1 keeps SIGKILL from a frozen process")
def test_a_frozen_namespace_ends(inner: int) -> None:
    """Each process of the namespace, and of one below it, is in the frozen group: all are taken out, and end."""
    where: Hierarchies = VIEWS.get("v1", hierarchies())
    with group_with(where) as group:
        handles = namespace_of(2, inner)
        for pid in (handles.pid, *descendants(handles.pid)):
            group.join(pid)
        sleeper = start(group, sleep_for_ever)
        group.freeze()
        signal.pidfd_send_signal(handles.pidfd, signal.SIGKILL)
        assert proc.stat_of(handles.pid) is not None, "a frozen process does not end"
        spawn.kill(handles)
        assert proc.stat_of(handles.pid) is None
        assert proc.stat_of(sleeper) is not None
        assert group.frozen()  # another process in it stays where it is
        group.thaw()
        os.kill(sleeper, signal.SIGKILL)
        os.waitpid(sleeper, 0)
        handles.close()


def descendants(pid: int) -> list[int]:
    """Return the children of a process, and theirs."""
    children = [int(word) for word in proc.text(f"/proc/{pid}/task/{pid}/children").split()]
    return [*children, *(below for child in children for below in descendants(child))]


def test_a_process_that_was_reaped_is_no_error() -> None:
    """Nothing is waited for, and a file that was found before the end has no text: reading it is ESRCH."""
    handles = namespace_of(0)
    found = os.open(f"/proc/{handles.pid}/cgroup", os.O_PATH)
    assert files.read(f"/proc/self/fd/{found}")
    os.kill(handles.pid, signal.SIGKILL)
    os.waitpid(handles.pid, 0)
    spawn.kill(handles)
    assert files.read(f"/proc/self/fd/{found}") is None
    os.close(found)
    handles.close()
