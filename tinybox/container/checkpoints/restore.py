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

import contextlib
import os
import stat

from tinybox.container.checkpoints import messages, outside
from tinybox.container.checkpoints.criu import RESTORE_LOG, Criu
from tinybox.container.checkpoints.dump import NETWORK
from tinybox.container.planning import cgroups, network, program, root_filesystem, streams
from tinybox.container.planning import mounts as planned_mounts
from tinybox.container.planning.planner import join_step, open_namespaces
from tinybox.container.planning.task import layers_of
from tinybox.container.process import child, init, spawn
from tinybox.container.process.plan import Plan, Step
from tinybox.container.process.plan_runner import PlanRunner
from tinybox.errors import HostError, StateError
from tinybox.isolation import mounts, namespaces, overlay, rootfs
from tinybox.isolation.cgroups import visible_tree
from tinybox.linux.signals import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from tinybox.container.checkpoints.files import Notes
    from tinybox.container.planning.task import Task
    from tinybox.container.records.spec import Mount

RESTORED, CONSOLE = "post-restore", "orphan-pts-master"  # notices of criu
LATE = "memory."  # these limits are set when criu has ended: it is in the group, and needs more memory than most boxes


class Restoration:
    """What a restore needs in addition to a start: the checkpoint, criu, and the descriptors that processes inherit.

    *folder* has criu's images and *work* gets its log; *staging* is a directory over which the child mounts a tmpfs, in
    its own mount namespace. *options* are fields of criu_opts.
    """

    def __init__(
        self,
        task: Task,
        known: Notes,
        folder: str,
        program: str,
        staging: str,
        *,
        options: dict[str, bool | str],
        work: str = "",
    ) -> None:
        self.task, self.known, self.handles = task, known, task.handles
        self.folder, self.work, self.program, self.staging = folder, work or folder, program, staging
        self.options, self.late = options, list[Step]()
        self.criu: Criu | None = None
        self.directories: list[int] = []  # of the images and of the log: criu opens them in this process
        self.inherited: dict[str, list[int]] = {}  # file descriptors by their keys

    def prepare(self) -> None:
        """Open what the processes inherit, and make the socket to criu; see socketpair(2)."""
        self.criu = Criu(self.program, self.work, RESTORE_LOG)
        for path in (self.folder, self.work):
            self.directories.append(os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
        for key, file in self.known.files.items():
            self._inherit(key, outside.reopened(key, file))
        for key, fd in zip(self.known.streams, self.handles.streams, strict=False):
            if key:
                self._inherit(key, os.dup(fd))
        if self.known.network:
            self._inherit(NETWORK, os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))  # `inherit_network` replaces it
        self.handles.kept += [*self.criu.kept(), *(fd for fds in self.inherited.values() for fd in fds)]

    def _inherit(self, key: str, fd: int) -> None:
        self.inherited.setdefault(key, []).append(fd)

    def inherit_network(self) -> None:
        """Let the container's first process join the network namespace of this process, the child; see setns(2)."""
        for fd in self.inherited.get(NETWORK, ()):
            own = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            os.dup2(own, fd)
            os.close(own)

    def become_criu(self) -> NoReturn:
        """Execute criu in place of the child, with default signals and the inherited descriptors; see execve(2)."""
        for fds in self.inherited.values():
            for fd in fds:
                os.set_inheritable(fd, True)
        init.have_default_signals()
        self._criu().become()

    def await_criu(self) -> None:
        """Wait until the child has executed criu, or raise the error of its steps."""
        self.handles.sync.receive()
        criu = self._criu()
        criu.end.close()
        criu.pidfd = os.dup(self.handles.pidfd)
        self._close_inherited()

    def _close_inherited(self) -> None:
        for fd in [fd for fds in self.inherited.values() for fd in fds]:
            with contextlib.suppress(OSError):
                os.close(fd)
        self.handles.kept.clear()

    def restore(self) -> None:
        """Let criu restore the processes; they are complete, and wait; HostError: criu has failed."""
        criu, handles = self._criu(), self.handles
        criu.ask(messages.RESTORE, self._settings())
        name, fields = criu.hear(RESTORED)
        pid = fields.get(messages.PID)
        if name != RESTORED or not isinstance(pid, int):
            raise HostError("criu", "it did not say which process it has restored")
        os.close(handles.pidfd)
        handles.pid, handles.pidfd = pid, os.pidfd_open(pid)
        handles.master = criu.received.pop(CONSOLE, -1)

    def _settings(self) -> dict[str, messages.Value | list[bytes]]:
        keys = [(key, fd) for key, fds in self.inherited.items() for fd in fds]
        points = [f"mnt[{point}]:{self._source(point)}" for point in self.known.mounts]
        return {
            "images_dir_fd": self.directories[0],
            "work_dir_fd": self.directories[1],
            "root": self.root,
            "inherit_fd": [messages.inherited(key, fd) for key, fd in keys],
            "external": [os.fsencode(point) for point in points],
            "ext_masters": True,
            "manage_cgroups_mode": messages.IGNORE,
            "rst_sibling": True,
            "notify_scripts": True,
            "orphan_pts_master": True,
            **self.options,
        }

    @property
    def root(self) -> str:
        """The path at which the child mounts the container's root file system."""
        return os.path.join(self.staging, "root")

    def numbered(self) -> list[tuple[str, Mount]]:
        """Return the mounts of config.json that come from outside, and their keys; the N-th is placed at STAGING/N."""
        entries = planned_mounts.entries(self.task)
        return [(key, entry) for key, entry in entries.items() if outside.is_made_again(entry)]

    def _source(self, point: str) -> str:
        """Return where the mount that was at *point* is below the staging directory; StateError: there is none."""
        numbered = self.numbered()
        entry = outside.entry_of([each for _, each in numbered], point)
        if entry is None:
            cause = f"the checkpoint has a mount at {point}, and this container has none"
            raise StateError("checkpoint", cause, "restore the container from which it was made, or one like it")
        number = [each for _, each in numbered].index(entry)
        return os.path.normpath(f"{self.staging}/{number}/{os.path.relpath(point, outside.destination(entry))}")

    def resume(self) -> None:
        """Let the processes go on, and set the limits that had to wait for criu's end."""
        criu = self._criu()
        criu.agree()
        criu.hear()
        self.end()
        for step in self.late:
            step.run()

    def end(self) -> None:
        """End criu, whatever it does, and close all that is open for it; a second call does no harm."""
        for fd in self.directories:
            os.close(fd)
        self.directories = []
        self._close_inherited()
        self.inherited = {}
        if self.criu is not None:
            self.criu.kill()
            self.criu = None

    def _criu(self) -> Criu:
        assert self.criu is not None  # noqa: S101  prepare() is the first of its steps
        return self.criu


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
        *open_namespaces(task),
        *planned_mounts.parent_steps(task),
        *streams.pipes(task.process, handles),
        Step("criu", "Make a socket to criu, and open what the processes inherit", "criu(8)", restoration.prepare),
        clone.undone_by(undone, lambda: spawn.kill(handles)),
        Step("join-cgroup", "Put the child into the control groups that clone3 could not reach", "cgroups(7)",
             spawn.join_cgroup, task.cgroup, handles),
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
        Step("wait", "Wait until the parent has made links and control groups", "pipe(7)", child.wait_for_parent,
             handles),
    ]  # fmt: skip
    if "network" in task.joined:
        steps.append(join_step(task, "network"))
    steps += program.join_keyring(task, new=True)
    if "cgroup" in task.new:
        says = "Make this control group the root of the control groups that the box sees"
        steps.append(Step("cgroup-namespace", says, "cgroup_namespaces(7)", namespaces.enter_cgroup_namespace))
    if "network" in task.new:
        steps.append(Step("loopback", "Set the interface lo up", "netdevice(7)", namespaces.loopback_up))
    for name, value in task.linux.get("sysctl", {}).items():
        if name.startswith("net."):  # criu restores the others
            says = f"Set the kernel parameter {name} = {value}"
            steps.append(Step(f"sysctl-{name}", says, "proc_sys(5)", rootfs.set_sysctl, name, value))
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
