"""The control group steps of a plan: limits (--memory, --cpus, --pids-limit ...) and the devices that may be used.

All limits are set before the group has a process: a later limit would not apply to what the process has done before.
"""

from __future__ import annotations

from tinybox.container.process import child, spawn
from tinybox.container.process.plan import Step
from tinybox.container.records import spec
from tinybox.isolation.cgroups.files import of_every_group
from tinybox.isolation.cgroups.group import Cgroup, place

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from tinybox.container.planning.task import Task
    from tinybox.container.process.handles import Handles
    from tinybox.container.records.host import Host
    from tinybox.container.records.spec_types import Spec
    from tinybox.isolation.cgroups.files import Setting
    from tinybox.isolation.cgroups.hierarchies import Hierarchies
    from tinybox.isolation.resctrl import ClassOfService


def group(container: str, config: Spec, host: Host) -> Cgroup:
    """Return a container's control group, which need not exist yet: ``tinybox/ID`` in every hierarchy that it needs."""
    parent = config.get("annotations", {}).get(spec.CGROUP_PARENT, "")
    return Cgroup(place(container, parent), host.hierarchies, controllers(config, host.hierarchies))


def controllers(config: Spec, where: Hierarchies) -> set[str]:
    """Return the controllers that the limits in *config* use; the filter of devices counts as one."""
    resources = config.get("linux", {}).get("resources", {})
    return {"devices"} | {setting.controller for setting in _settings(resources, where)}


def _has_limits(resources: Mapping[str, Any]) -> bool:
    """Return whether OCI *resources* have a limit: the rules about devices, which each container has, are none."""
    return bool(resources.keys() - {"devices"})


def _settings(resources: Mapping[str, Any], hierarchies: Hierarchies) -> list[Setting]:
    """Return the writes for *resources*; the table of limits is loaded only if there is one."""
    if not _has_limits(resources):
        return of_every_group(hierarchies)
    from tinybox.isolation.cgroups import limits

    return limits.settings(resources, hierarchies)


def make(task: Task) -> list[Step]:
    """Plan the group with its limits, in which clone3(2) makes the child; see linux.resources in OCI's config-linux.

    A user without root has no control groups: then there are no steps, and a limit is a HostError.
    """
    if task.host.hierarchies.mode == "none" and task.host.rootless:
        return set_limits(task)
    return [make_group(task), *set_limits(task), open_group(task)]


def make_group(task: Task) -> Step:
    """Plan the group, without limits."""
    task.handles.sync.meanwhile = task.cgroup.refuse_frozen
    made: list[Cgroup] = []
    says = "Make the control group for all processes of the container"
    step = Step("cgroup", says, "cgroups(7)", create, task.cgroup, made)
    return step.undone_by("SIGKILL for every process in it, then rmdir(2)", lambda: _end(made))


def set_limits(task: Task) -> list[Step]:
    """Plan one step for each limit."""
    resources = task.linux.get("resources", {})
    if _has_limits(resources):
        from tinybox.isolation.cgroups import limits

        task.warnings += limits.passed_over(resources)
    steps = []
    for setting in _settings(resources, task.host.hierarchies):
        says = f"Set the limit {setting.file} = {setting.value}"
        steps.append(Step(f"limit-{setting.file}", says, "cgroups(7)", task.cgroup.apply, setting))
    return steps


def open_group(task: Task, beside: int = -1) -> Step:
    """Plan how the group is opened for clone3(2), and those of version 1 for the child; *beside* is as in spawn.py."""
    says = "Open the control group, so that clone3 can make the child in it"
    return Step("open-cgroup", says, "open(2)", spawn.open_cgroup, task.cgroup, task.handles, beside)


def join_group(task: Task) -> list[Step]:
    """Plan how the child joins the groups in which clone3(2) could not make it: those of version 1, if there are any.

    It comes after the gate: a real-time process may not join a group of the controller cpu before the parent has given
    it the default priority.
    """
    if not task.host.hierarchies.v1:
        return []
    says = "Join the control groups that clone3 could not reach"
    return [Step("join-cgroup", says, "cgroups(7)", child.join_cgroups, task.cgroup, task.handles)]


def create(cgroup: Cgroup, made: list[Cgroup]) -> None:
    """Make the group in every hierarchy that it needs, or in none, and append it to *made*, for undo; see mkdir(2)."""
    cgroup.create()
    made.append(cgroup)


def _end(made: list[Cgroup]) -> None:
    """Kill the processes of the *made* groups and remove them; a group that existed before is not in *made*."""
    for cgroup in made:
        cgroup.kill()
        cgroup.remove()


def class_of_service(task: Task) -> tuple[list[Step], list[Step]]:
    """Plan the container's class of service (``intelRdt``), in two lists: to make it, and to put the child into it."""
    settings = task.linux.get("intelRdt")
    if settings is None:
        return [], []
    from tinybox.isolation import resctrl

    service = resctrl.ClassOfService(settings, task.container)
    manual = "resctrl (the kernel's Documentation/filesystems/resctrl.rst)"
    made = Step("resctrl", f"Make or check the class of service {service.name}", manual, service.prepare)
    says = "Put the child into its class of service"
    joined = Step("join-resctrl", says, manual, join_class, service, task.handles)
    return [made.undone_by("rmdir(2) of what was made for this container", service.undo)], [joined]


def join_class(service: ClassOfService, handles: Handles) -> None:
    """Put the child into the class of service; its later children are in it as well."""
    service.join(handles.pid)


def oom_score(task: Task) -> list[Step]:
    """Plan the process's OOM score, if config.json has ``process.oomScoreAdj``."""
    score = task.process.get("oomScoreAdj")
    if score is None:
        return []
    says = f"Set how likely the OOM killer ends the box's processes: {score}"
    return [Step("oom-score", says, "proc_pid_oom_score_adj(5)", spawn.set_oom_score, task.handles, score)]


def filter_devices(task: Task) -> list[Step]:
    """Plan which devices may be used; see "Allowed Device list" in OCI's config-linux.

    UsageError: the lists of cgroup v1 cannot express one of the rules.
    """
    rules = task.linux.get("resources", {}).get("devices")
    # Only root of the host may load a program that filters devices: config/linux.py refuses the options.
    # No filter is needed in a user namespace, where mknod(2) of a device is EPERM, but a bound one may need the rules.
    if (rules is None and task.userns) or task.host.rootless:
        return []
    from tinybox.isolation.cgroups import device_filter, device_rules  # late: `exec` loads no filter

    complete = device_rules.complete(rules, task.linux.get("devices", []))
    says, manual = "Load a BPF program that decides which devices may be used", "bpf(2)"
    if task.cgroup.hierarchies.version("devices") == 1:
        from tinybox.isolation.cgroups import device_lists  # only cgroup v1 needs it

        device_lists.settings(complete)  # raises UsageError before anything is made
        says, manual = "Write the list of devices that may be used to the control group", "cgroups(7)"
    return [Step("device-filter", says, manual, device_filter.allow_devices, task.cgroup, complete)]
