"""The plan's chapter on control groups: what the container may use of the machine, set before there is a process in it.

A limit that came later would not hold for what has happened until then.
"""

from __future__ import annotations

from tinybox.container.process import spawn
from tinybox.container.process.plan import Step
from tinybox.isolation.cgroups import device_filter, device_rules, limits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinybox.container.planning.task import Task
    from tinybox.isolation.cgroups.group import Cgroup


def make(task: Task) -> list[Step]:
    """Plan the group with its limits, for the child to be born there; see linux.resources in OCI's config-linux."""
    resources = task.linux.get("resources", {})
    settings = limits.settings(resources, task.host.hierarchies)
    task.warnings += limits.passed_over(resources)
    made: list[Cgroup] = []
    says = "Make the control group that will hold all of its processes"
    group = Step("cgroup", says, "cgroups(7)", create, task.cgroup, made)
    steps = [group.undone_by("SIGKILL for every process in it, then rmdir(2)", lambda: _end(made))]
    for setting in settings:
        says = f"Set the limit {setting.file} = {setting.value}"
        steps.append(Step(f"limit-{setting.file}", says, "cgroups(7)", task.cgroup.apply, setting))
    says = "Open it, for the child to be born there"
    steps.append(Step("open-cgroup", says, "open(2)", spawn.open_cgroup, task.cgroup, task.handles))
    return steps


def create(cgroup: Cgroup, made: list[Cgroup]) -> None:
    """Make the group in every hierarchy that it needs, or in none; see mkdir(2). What is *made* can be undone."""
    cgroup.create()
    made.append(cgroup)


def _end(made: list[Cgroup]) -> None:
    """End a group that we have made: in one that we were refused others live."""
    for cgroup in made:
        cgroup.kill()
        cgroup.remove()


def filter_devices(task: Task) -> list[Step]:
    """Plan which devices may be used; see "Allowed Device list" in OCI's config-linux; UsageError: not to be had."""
    rules = task.linux.get("resources", {}).get("devices")
    if rules is None and task.userns:  # nothing to forbid: root of a user namespace makes no device
        return []
    complete = device_rules.complete(rules, task.linux.get("devices", []))
    says, where = "Let the kernel ask a small program which devices may be used", "bpf(2)"
    if task.cgroup.hierarchies.version("devices") == 1:
        from tinybox.isolation.cgroups import device_lists  # version 2 has no need of it

        device_lists.settings(complete)  # refuses what a list cannot say, before anything is made
        says, where = "Write down for the kernel which devices may be used", "cgroups(7)"
    return [Step("device-filter", says, where, device_filter.allow_devices, task.cgroup, complete)]
