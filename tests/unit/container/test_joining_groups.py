"""Which process joins which control group, and when: the child those of version 1, as its plan says."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.container.test_planner import SPEC, V2, handles, names, planned
from tinybox.container.planning import entering
from tinybox.container.planning.task import Task
from tinybox.container.process import init
from tinybox.container.records.host import Host
from tinybox.isolation import capabilities
from tinybox.isolation.cgroups.group import Cgroup
from tinybox.isolation.cgroups.hierarchies import Hierarchies

if TYPE_CHECKING:
    from tinybox.container.process.handles import Handles
    from tinybox.container.process.plan import Plan

__all__ = ["handles"]

V1 = {"memory": "/sys/fs/cgroup/memory", "pids": "/sys/fs/cgroup/pids"}
HYBRID = Hierarchies("/sys/fs/cgroup/unified", [], V1)
MIXED = Hierarchies("/sys/fs/cgroup", ["memory", "pids"], {"net_cls": "/sys/fs/cgroup/net_cls"})
ONLY_V1 = Hierarchies(None, [], V1)


def host(where: Hierarchies) -> Host:
    """Return a host with these hierarchies."""
    return Host((6, 1), where, capabilities.DEFAULT, (0, 0, 0))


def exec_plan(where: Hierarchies, handles: Handles, *kinds: str) -> Plan:
    """Plan an exec in a container with new namespaces of these *kinds*; its first process is this one."""
    handles.namespace_fds[entering.TARGET] = os.pidfd_open(os.getpid())
    config: Any = {**SPEC, "linux": {"namespaces": [{"type": kind} for kind in kinds]}}
    task = Task(config, "/bundle", host(where), handles, Cgroup("tinybox/test", where))
    return entering.plan(task, init.NONE, dies_with_parent=True)


@pytest.mark.parametrize("where", [HYBRID, MIXED, ONLY_V1])
def test_the_child_joins_between_the_gate_and_its_cgroup_namespace(where: Hierarchies, handles: Handles) -> None:
    """The gate: it has the default priority by then; the namespace: its roots are the groups of that moment."""
    plan = planned(SPEC, handles, host(where))
    child, parent = names(plan.child), names(plan.parent)
    assert child.index("close-foreign") < child.index("wait") < child.index("join-cgroup")
    assert child.index("join-cgroup") < child.index("cgroup-namespace") < child.index("root")
    assert parent.index("cgroup") < parent.index("open-cgroup") < parent.index("clone")


def test_version_2_alone_needs_no_such_step(handles: Handles) -> None:
    """The control: clone3(2) makes the child in its only group."""
    plan = planned(SPEC, handles, host(V2))
    assert "open-cgroup" in names(plan.parent)
    assert "join-cgroup" not in names(plan.child) + names(plan.parent)


@pytest.mark.parametrize("where", [HYBRID, MIXED, ONLY_V1])
def test_the_second_process_of_exec_joins_before_all_else(where: Hierarchies, handles: Handles) -> None:
    """It is the one that becomes the program; pids.max must not refuse the fork(2) by which it is made."""
    plan = exec_plan(where, handles, "mount", "pid")
    child = names(plan.child)
    assert child[child.index("go-inside") + 1] == "join-cgroup"
    assert names(plan.parent).index("open-cgroup") < names(plan.parent).index("clone")
    assert child.count("join-cgroup") == 1


def test_the_only_process_of_exec_joins_before_it_is_in_the_box(handles: Handles) -> None:
    """A container that shares the host's pid namespace has no second process."""
    child = names(exec_plan(HYBRID, handles, "mount").child)
    assert child.index("wait") < child.index("join-cgroup") < child.index("join")


@pytest.mark.parametrize(("where", "moved"), [(HYBRID, False), (ONLY_V1, False), (V2, True), (MIXED, True)])
def test_exec_moves_a_process_only_where_version_2_limits_processes(
    where: Hierarchies, moved: bool, handles: Handles
) -> None:
    """There, a first child in the group would need a place of pids.max; without a pid namespace it is not needed."""
    parent = names(exec_plan(where, handles, "mount", "pid").parent)
    assert ("enter-cgroup" in parent) == moved
    assert not moved or parent.index("adopt") < parent.index("enter-cgroup") < parent.index("go-on-inside")


def test_exec_moves_no_process_that_clone_can_make_in_the_group(handles: Handles) -> None:
    """The control: one process is enough in the host's pid namespace."""
    assert "enter-cgroup" not in names(exec_plan(V2, handles, "mount").parent)
