"""From what is wanted to what will be done: a spec and facts about the host go in, a Plan comes out.

Nothing here touches the kernel. Read `plan` as the table of contents of a container: the parent makes the cgroup and
clones; the child mounts, pivots, drops its rights, and becomes PID 1.
"""

from __future__ import annotations

from tinybox.container.planning import cgroups, network, program, root_filesystem, streams
from tinybox.container.planning import mounts as planned_mounts
from tinybox.container.planning.task import layers_of
from tinybox.container.process import child, init, spawn
from tinybox.container.process.plan import Plan, Step
from tinybox.container.records import spec
from tinybox.errors import UsageError
from tinybox.isolation import (
    idmap,
    mounts,
    namespaces,
    rootfs,
)
from tinybox.linux import process
from tinybox.linux.signals import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinybox.container.planning.task import Task
    from tinybox.container.process.handles import Handles


def plan(task: Task) -> Plan:
    """Plan the container that the *task* describes; errors in the spec are UsageError or HostError.

    What cannot be had and need not be is among the plan's warnings.
    """
    _check(task)
    meanwhile, mounted, starting = _hooks(task)
    inside = [
        *_arrive(task),
        *planned_mounts.steps(task),
        *mounted,
        *_take_root(task),
        *_settle(task),
        *program.rights(task),
        *program.begin(task, task.annotations.get(spec.INIT, init.NONE), joins="pid" in task.joined, before=starting),
    ]
    outside = [
        *network.reserve(task),
        *cgroups.make(task),
        *_open_namespaces(task),
        *planned_mounts.parent_steps(task),
        *streams.pipes(task.process, task.handles),
        *_make_child(task, inside, meanwhile),
    ]
    return Plan(outside, inside, task.warnings)


def _hooks(task: Task) -> tuple[list[Step], list[Step], list[Step]]:
    """Return the steps about hooks: the parent's, the child's before it changes the root, and before the program."""
    if not task.config.get("hooks"):
        return [], [], []
    from tinybox.container.planning import hooks

    return hooks.outside(task), hooks.before_pivot(task), hooks.before_program(task)


def _check(task: Task) -> None:
    kinds = [*task.new, *task.joined]
    for kind in kinds:
        if kind not in namespaces.KINDS:
            raise UsageError(f"linux.namespaces: {kind}", "no such namespace", ", ".join(namespaces.KINDS))
        if kinds.count(kind) > 1:
            raise UsageError(f"linux.namespaces: {kind}", "is given twice")
    if task.shares_mounts and layers_of(task):
        raise UsageError("linux.namespaces: mount", "must be new for a root of layers", "an overlay is the box's alone")
    check_labels(task)


def check_labels(task: Task) -> None:
    """Refuse labels of a security module that is not switched on here."""
    asked = {
        "process.apparmorProfile": task.process.get("apparmorProfile"),
        "process.selinuxLabel": task.process.get("selinuxLabel"),
        "linux.mountLabel": task.linux.get("mountLabel"),
    }
    if any(asked.values()):
        from tinybox.isolation import labels

        for field in filter(asked.get, asked):
            labels.check(field)


def _open_namespaces(task: Task) -> list[Step]:
    return [
        Step(f"open-{kind}-namespace", f"Open the {kind} namespace to join", "namespaces(7)",
             spawn.open_namespace, task.handles, kind, path)
        for kind, path in task.joined.items()
    ]  # fmt: skip


def _make_child(task: Task, inside: list[Step], meanwhile: list[Step]) -> list[Step]:
    handles, steps = task.handles, [*program.trampoline(task), *_clone(task, inside)]
    if "user" in task.new:
        uids, gids = task.linux.get("uidMappings", []), task.linux.get("gidMappings", [])
        says = "Say which ids of the host the ids inside stand for"
        steps.append(Step("id-maps", says, "user_namespaces(7)", _write_maps, handles, uids, gids))
    says = "Put it into the control groups that clone3 could not reach"
    steps.append(Step("join-cgroup", says, "cgroups(7)", spawn.join_cgroup, task.cgroup, handles))
    steps += oom_score(task)
    connect, connected = network.connect(task)
    early = any(name.startswith("net.") for name in task.linux.get("sysctl", {}))  # they may name a link of its own
    return [
        *steps,
        *connect,
        *(connected if early else ()),
        Step("release", "Let the child do its own steps", "pipe(7)", spawn.release, handles),
        *cgroups.filter_devices(task),  # meanwhile: the kernel needs half a millisecond to verify it
        *meanwhile,
        *(program.adopt(task) if "pid" in task.joined else ()),
        Step("await", "Wait until it is ready", "pipe(7)", spawn.await_child, handles),
        *(() if early else connected),
    ]


def _clone(task: Task, inside: list[Step]) -> list[Step]:
    """Plan the birth of the child; where it joins the pid namespace of others, it makes its other ones by itself."""
    handles, new = task.handles, _born_into(task)
    flags, said = namespaces.flags(new), ", ".join(new)
    says, act = f"Make the child in new namespaces: {said}", spawn.spawn
    if "pid" in task.joined:
        says, flags = "Make the child, outside of the pid namespace that it will join", 0
    elif "user" in task.joined:
        act = spawn.spawn_among_users
    clone = Step("clone", says, "clone3(2)", act, handles, flags, inside)
    undone = "SIGKILL for the child; its namespaces and all mounts in them go with it"
    steps = [clone.undone_by(undone, lambda: spawn.kill(handles))]
    if "pid" in task.joined and new:
        says = f"Wait until it has made its namespaces: {said}"
        steps.append(Step("await-namespaces", says, "pipe(7)", spawn.await_namespaces, handles))
    return steps


def oom_score(task: Task) -> list[Step]:
    """Plan what the OOM killer is told of a process, where its config says something."""
    score = task.process.get("oomScoreAdj")
    if score is None:
        return []
    says = "Tell the OOM killer how gladly to take it"
    return [Step("oom-score", says, "proc_pid_oom_score_adj(5)", spawn.set_oom_score, task.handles, score)]


def _born_into(task: Task) -> list[str]:
    """Return the namespaces that clone3(2) makes; the two others are made by the child when their time has come."""
    return [kind for kind in task.new if kind not in ("cgroup", "time")]


def _write_maps(handles: Handles, uids: list[idmap.IDMapping], gids: list[idmap.IDMapping]) -> None:
    idmap.write_maps(handles.pid, uids, gids)


def _arrive(task: Task) -> list[Step]:
    handles = task.handles
    steps = [
        Step(
            "die-with-parent",
            "Die when tinybox dies",
            "PR_SET_PDEATHSIG(2const)",
            child.die_with_parent,
            signal.SIGKILL,
        ),
        Step("close-foreign", "Close what is open and not ours", "close_range(2)", child.close_foreign, handles),
        *program.erase_environment(),
        *program.leave_keyring(task),
        *_among_others(task),
        Step("wait", "Wait until the parent has set the limits", "pipe(7)", child.wait_for_parent, handles),
    ]
    steps += [_join_step(task, kind) for kind in task.joined if kind not in ("pid", "user", "mount")]
    if task.userns:
        says = "Be root of the new user namespace"
        steps.append(Step("become-root", says, "user_namespaces(7)", idmap.become_root))
    steps += program.take_keyring(task, new=True)
    if "cgroup" in task.new:
        says = "Take this control group for the top of the tree"
        steps.append(Step("cgroup-namespace", says, "cgroup_namespaces(7)", namespaces.enter_cgroup_namespace))
    if "time" in task.new:
        offsets = task.linux.get("timeOffsets", {})
        says = f"Take clocks of our own{' with offsets' * bool(offsets)}"
        steps.append(Step("time-namespace", says, "time_namespaces(7)", namespaces.enter_time_namespace, offsets))
    if "network" in task.new:
        steps.append(Step("loopback", "Set the interface lo up", "netdevice(7)", namespaces.loopback_up))
    if "mount" in task.joined:  # the last one: until here we need our own /proc
        steps.append(_join_step(task, "mount"))
    return steps


def _among_others(task: Task) -> list[Step]:
    """Plan how the child prepares to join the pid namespace of others, as its last step before it is ready.

    It needs root's rights on the host for that, so it comes before any user namespace.
    """
    if "pid" not in task.joined:
        return []
    handles, new = task.handles, _born_into(task)
    says = "Have its own child born in the other pid namespace"
    steps = [Step("join-pid", says, "setns(2)", child.join_pid_namespace, handles)]
    if "user" in task.joined:
        steps.append(_join_step(task, "user"))
    if new:
        says = f"Make new namespaces: {', '.join(new)}"
        steps.append(Step("unshare", says, "unshare(2)", child.make_namespaces, handles, namespaces.flags(new)))
    return steps


def _join_step(task: Task, kind: str) -> Step:
    return Step(f"join-{kind}", f"Join the other {kind} namespace", "setns(2)", _join, task.handles, kind)


def _join(handles: Handles, kind: str) -> None:
    process.setns(handles.namespace_fds[kind], namespaces.KINDS[kind][0])


def _take_root(task: Task) -> list[Step]:
    steps = [root_filesystem.change_root(task)]
    masked, readonly = task.linux.get("maskedPaths", []), task.linux.get("readonlyPaths", [])
    if task.linux.get("sysctl"):
        for name, value in task.linux["sysctl"].items():
            says = f"Set the kernel parameter {name} = {value}"
            steps.append(Step(f"sysctl-{name}", says, "proc_sys(5)", rootfs.set_sysctl, name, value))
    if readonly:
        says = "Make kernel files read-only"
        steps.append(Step("readonly-paths", says, "mount_setattr(2)", rootfs.make_paths_readonly, readonly))
    if masked:
        says = "Cover what a box must not see"
        steps.append(Step("masked-paths", says, "move_mount(2)", rootfs.mask, masked))
    flag = root_filesystem.propagation_of(task)
    if flag:
        says = f"Let mounts on the root spread as {task.linux['rootfsPropagation']}"
        steps.append(Step("propagation", says, "mount_namespaces(7)", mounts.set_root_propagation, flag))
    return steps


def _settle(task: Task) -> list[Step]:
    steps: list[Step] = []
    uts = "uts" in (*task.new, *task.joined)
    if task.config.get("hostname") and uts:
        says = f"Call this machine {task.config['hostname']}"
        steps.append(Step("hostname", says, "sethostname(2)", namespaces.set_hostname, task.config["hostname"]))
    if task.config.get("domainname") and uts:
        says, name = f"Give it the domain {task.config['domainname']}", task.config["domainname"]
        steps.append(Step("domainname", says, "setdomainname(2)", namespaces.set_domainname, name))
    steps += program.turns(task)
    steps += program.limits(task.process)
    directory = task.process["cwd"]
    says = f"Go to the working directory {directory}"
    steps.append(Step("directory", says, "chdir(2)", rootfs.enter_directory, directory))
    if task.config["root"].get("readonly"):
        says = "Make the root file system read-only, now that the working directory is there"
        steps.append(Step("readonly-root", says, "mount_setattr(2)", rootfs.make_readonly))
    return steps
