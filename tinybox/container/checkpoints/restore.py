"""Restore a container: a plan like that of a start, whose child becomes criu, and criu makes the processes again.

The parent makes control groups, addresses and links as for a start. The child is in the control groups and in the new
network namespace. In a mount namespace of its own it makes the root file system and the mounts that come from outside,
and executes criu, which clones the container's first process and tells when all processes are as they were. They wait
until the runner starts them. criu gives the first process the parent that criu itself has: tinybox.

    parent                                criu
    ------                                ----
    clone3, control groups, links
    b"go"                          ->     its steps: root, mounts; execve
    request                        ->     clones the first process, and restores all of them
    limits, state: created         <-     notice "post-restore"
    answer                         ->     the processes go on
    state: running                 <-     answer
    the limit of memory                   ends
"""

from __future__ import annotations

import os
import stat

from tinybox.container.checkpoints import outside
from tinybox.container.planning import cgroups, joining, network, program, root_filesystem, streams
from tinybox.container.planning import mounts as planned_mounts
from tinybox.container.planning.task import layers_of
from tinybox.container.process import child, spawn
from tinybox.container.process.plan import Plan, Step
from tinybox.container.process.plan_runner import PlanRunner
from tinybox.isolation import entered_root, mounts, namespaces, overlay, rootfs
from tinybox.isolation.cgroups import visible_tree
from tinybox.linux.signals import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinybox.container.checkpoints.restoration import Restoration
    from tinybox.container.planning.task import Task
    from tinybox.container.records.spec_types import Mount

LATE = "memory."  # these limits are set when criu has ended: it is in the group, and needs more memory than most boxes


class RestoreRunner(PlanRunner):
    """A plan runner whose container goes on from a checkpoint, instead of executing a program."""

    def __init__(self, restoration: Restoration) -> None:
        super().__init__(plan(restoration), restoration.handles)
        self.restoration = restoration

    def start(self) -> None:
        """Let the restored processes go on."""
        self.restoration.resume()

    def undo(self) -> None:
        """End criu, and undo the steps that are done."""
        self.restoration.end()
        super().undo()


def plan(restoration: Restoration) -> Plan:
    """Plan how the container of *restoration* is restored; UsageError: its kind of container cannot be."""
    task, handles = restoration.task, restoration.handles
    limits = cgroups.set_limits(task)
    restoration.late = [step for step in limits if step.name.startswith(f"limit-{LATE}")]
    connect, connected, hooks = *network.connect(task), _hooks(task)
    inside = _inside(restoration)
    says = f"Make the child in new namespaces, for criu: {', '.join(_kinds(task))}"
    clone = Step("clone", says, "clone3(2)", spawn.spawn, handles, namespaces.flags(_kinds(task)), inside)
    undone = "SIGKILL for the container's first process, or for criu; its namespaces and mounts go with it"
    outside_steps = [
        *network.reserve(task),
        cgroups.make_group(task),
        cgroups.open_group(task),
        *joining.open_namespaces(task),
        *planned_mounts.parent_steps(task),
        *streams.pipes(task),
        Step("criu", "Make a socket to criu, and open what the processes inherit", "criu(8)", restoration.prepare),
        clone.undone_by(undone, lambda: spawn.kill(handles)),
        *connect,
        Step("release", "Let the child do its own steps", "pipe(7)", spawn.release, handles),
        Step("await-criu", "Wait until the child has become criu", "pipe(7)", restoration.await_criu),
        *connected,
        *hooks,
        Step("restore", "Let criu make the processes again", "criu(8)", restoration.restore),
        *(step for step in limits if step not in restoration.late),
        *cgroups.filter_devices(task),
    ]  # fmt: skip
    return Plan(outside_steps, inside, task.warnings)


def _hooks(task: Task) -> list[Step]:
    """Plan the hooks that prepare the network, in the parent; criu is in the container's network namespace by then."""
    if not task.config.get("hooks"):
        return []
    from tinybox.container.planning import hooks

    return hooks.of_runtime(task)


def _kinds(task: Task) -> list[str]:
    """Return the namespaces of criu itself; it makes the others, and the restored processes keep its network."""
    return ["mount", *(["network"] if "network" in task.new else [])]


def _inside(restoration: Restoration) -> list[Step]:
    """Plan the child's steps: its namespaces, the file systems that come from outside, and criu."""
    task, handles, staging = restoration.task, restoration.handles, restoration.staging
    steps = [
        Step("die-with-parent", "Die when tinybox dies", "PR_SET_PDEATHSIG(2const)", child.die_with_parent,
             signal.SIGKILL),
        Step("close-foreign", "Close tinybox's own file descriptors", "close_range(2)", child.close_foreign, handles),
        Step("wait", "Wait until the parent has made the links", "pipe(7)", child.wait_for_parent, handles),
        *cgroups.join_group(task),
    ]  # fmt: skip
    if "network" in task.joined:
        steps.append(joining.join(task, "network"))
    steps += program.join_keyring(task, new=True)
    if "cgroup" in task.new:
        says = "Make this control group the root of the control groups that the box sees"
        steps.append(Step("cgroup-namespace", says, "cgroup_namespaces(7)", namespaces.enter_cgroup_namespace))
    if "network" in task.new:
        steps.append(Step("loopback", "Set the interface lo up", "netdevice(7)", namespaces.loopback_up))
    for name, value in task.linux.get("sysctl", {}).items():
        if name.startswith("net."):  # criu restores the others
            says = f"Set the kernel parameter {name} = {value}"
            steps.append(Step(f"sysctl-{name}", says, "proc_sys(5)", entered_root.set_sysctl, name, value))
    first, *_ = root_filesystem.steps(task)
    steps += [
        first,
        Step("staging", f"Mount a tmpfs over {staging}", "move_mount(2)", stage, staging),
        Step("root", "Mount the root file system there", "mount(2), overlayfs", make_root, task, restoration.root),
    ]
    says = "Make missing mount points in it: criu makes none"
    steps.append(Step("mount-points", says, "mkdir(2)", make_mount_points, task, os.fsencode(restoration.root)))
    if task.config["root"].get("readonly"):
        says, root = "Make the root file system read-only", os.fsencode(restoration.root)
        steps.append(Step("readonly-root", says, "mount_setattr(2)", rootfs.make_readonly, root))
    return [
        *steps,
        *[_mount(restoration, number, *each) for number, each in enumerate(restoration.numbered())],
        Step("inherit-network", "Keep the network namespace for the processes", "namespaces(7)",
             restoration.inherit_network),
        Step("execute-criu", "Execute criu", "execve(2), criu(8)", restoration.become_criu),
    ]  # fmt: skip


def _mount(restoration: Restoration, number: int, key: str, entry: Mount) -> Step:
    """Plan one mount below the staging directory, from which criu binds it to its place in the container."""
    task, staging, where = restoration.task, os.fsencode(restoration.staging), b"/%d" % number
    options = mounts.Options(entry.get("options", []))
    if planned_mounts.is_bind(entry, options):
        says = f"Place the mount for {entry['destination']}"
        return Step(f"mount{key}", says, "move_mount(2)", planned_mounts.place, task.handles, key, where, staging)
    says = "Mount the box's own control group"
    if "cgroup" not in task.new:
        act = (visible_tree.bind_cgroups, staging, where, task.cgroup, options)
        return Step(f"mount{key}", says, "cgroups(7)", *act)
    return Step(f"mount{key}", says, "cgroups(7)", visible_tree.mount_cgroups, staging, where, task.host.hierarchies,
                task.cgroup.controllers, options)  # fmt: skip


def stage(staging: str) -> None:
    """Mount a small tmpfs over the directory *staging*, and make the directory of the root there; see tmpfs(5)."""
    rootfs.place_over(mounts.new_filesystem(b"tmpfs", b"tmpfs", mounts.Options(["mode=755", "size=1m"])), staging)
    os.mkdir(os.path.join(staging, "root"), 0o755)


def make_root(task: Task, target: str) -> None:
    """Mount the root file system on *target*: the overlay of the layers, or the bundle's directory."""
    layers = layers_of(task)
    if layers:
        upper, work = (os.path.join(task.bundle, name) for name in ("upper", "work"))
        overlay.mount_overlay(layers, upper, work, target)
    else:
        rootfs.place_over(mounts.copy_tree(os.fsdecode(task.root), mounts.Options(["rbind"])), target)


def make_mount_points(task: Task, root: bytes) -> None:
    """Make the mount points that are missing in the *root*, as in a container that has never been started."""
    points = {outside.destination(entry): key for key, entry in planned_mounts.entries(task).items()}
    for point, key in points.items():
        if not any(point.startswith(f"{other}/") for other in points):  # else it is in a mount, not in the root
            tree = task.handles.trees.get(key)
            directory = tree is None or stat.S_ISDIR(os.fstat(tree).st_mode)
            os.close(mounts.open_target(root, os.fsencode(point), directory=directory))
