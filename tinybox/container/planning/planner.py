"""The planner: from a config.json and facts about the host it makes a Plan, the list of all steps of a container.

The planner changes nothing in the kernel. plan() is a table of contents of a container's start: the parent makes the
control group and clones the child; the child makes its mounts, changes its root, drops its rights, and becomes PID 1.
"""

from __future__ import annotations

from tinybox.container.planning import cgroups, labels, network, program, root_filesystem, streams
from tinybox.container.planning import mounts as planned_mounts
from tinybox.container.planning.task import layers_of, made_by_clone
from tinybox.container.process import child, init, spawn
from tinybox.container.process.plan import Plan, Step
from tinybox.container.records import spec
from tinybox.errors import UsageError
from tinybox.isolation import entered_root, mounts, namespaces, rootfs
from tinybox.linux import user_namespaces
from tinybox.linux.signals import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinybox.container.planning.task import Task


def plan(task: Task) -> Plan:
    """Plan the container that the *task* describes; an error in config.json is a UsageError or a HostError.

    Optional settings that this host does not support are in the plan's warnings.
    """
    _check(task)
    meanwhile, mounted, starting = _hooks(task)
    mode = task.annotations.get(spec.INIT, init.NONE)
    inside = [
        *_prepare_namespaces(task),
        *planned_mounts.steps(task),
        *mounted,
        *_change_root(task),
        *_set_process(task),
        *program.rights(task, mode, joins="pid" in task.joined),
        *program.begin(task, mode, joins="pid" in task.joined, before=starting),
    ]
    made, joined = cgroups.class_of_service(task)
    outside = [
        *_home(task),
        *network.reserve(task),
        *cgroups.make(task),
        *made,
        *_open_namespaces(task),
        *planned_mounts.parent_steps(task),
        *streams.pipes(task),
        *_make_child(task, inside, meanwhile, joined),
    ]
    return Plan(outside, inside, task.warnings)


def _home(task: Task) -> list[Step]:
    """Plan the first step of a user without root, who is in the home by then; the home is no part of one container."""
    if not task.host.rootless:
        return []
    says = "Be root of the user's home, a user namespace with the ids of /etc/subuid and /etc/subgid"
    return [Step("home", says, "user_namespaces(7)", user_namespaces.check_root)]


def _hooks(task: Task) -> tuple[list[Step], list[Step], list[Step]]:
    """Return the steps of hooks: the parent's, the child's before it changes the root, and those before the program."""
    if not task.config.get("hooks"):
        return [], [], []
    from tinybox.container.planning import hooks

    return hooks.outside(task), hooks.before_pivot(task), hooks.before_program(task)


def _open_namespaces(task: Task) -> list[Step]:
    if not task.joined:
        return []
    from tinybox.container.planning import joining  # most boxes join no namespace, and do not need it

    return joining.open_namespaces(task)


def _check(task: Task) -> None:
    kinds = [*task.new, *task.joined]
    for kind in kinds:
        if kind not in namespaces.KINDS:
            raise UsageError(f"linux.namespaces: {kind}", "no such namespace", ", ".join(namespaces.KINDS))
        if kinds.count(kind) > 1:
            raise UsageError(f"linux.namespaces: {kind}", "is given twice")
    if task.shares_mounts and layers_of(task):
        cure = "an overlay needs a mount namespace of its own"
        raise UsageError("linux.namespaces: mount", "must be new if the root is made of layers", cure)
    labels.check(task)


def _make_child(task: Task, inside: list[Step], meanwhile: list[Step], classified: list[Step]) -> list[Step]:
    handles, steps = task.handles, [*program.trampoline(task), *_clone(task, inside), *program.reset_child(task)]
    if "user" in task.new:
        from tinybox.container.planning import users

        steps.append(users.id_maps(task))
    steps += [*classified, *cgroups.oom_score(task), *network.move_devices(task)]
    connect, connected = network.connect(task)
    early = any(map(network.names_links, task.linux.get("sysctl", {})))
    return [
        *steps,
        *connect,
        *(connected if early else ()),
        Step("release", "Let the child do its own steps", "pipe(7)", spawn.release, handles),
        *_clocks(task),
        *cgroups.filter_devices(task),  # while the child works: the kernel needs 0.5 ms to verify the BPF program
        *meanwhile,
        *_adopt(task),
        Step("await", "Wait until the child is ready", "pipe(7)", spawn.await_child, handles),
        *streams.give(task),
        *(() if early else connected),
    ]


def _clone(task: Task, inside: list[Step]) -> list[Step]:
    """Plan clone3(2); if the child joins a pid namespace, it makes its new namespaces itself, by unshare(2)."""
    handles, new = task.handles, made_by_clone(task)
    flags, waits = namespaces.flags(new), list[Step]()
    says, act = f"Make the child in new namespaces: {', '.join(new)}", spawn.spawn
    if task.joined:
        from tinybox.container.planning import joining

        says, act, flags = joining.clone(task, says, flags)
        waits = joining.await_namespaces(task)
    clone = Step("clone", says, "clone3(2)", act, handles, flags, inside)
    undone = "SIGKILL for the child; its namespaces and all mounts in them go with it"
    return [clone.undone_by(undone, lambda: spawn.kill(handles)), *waits]


def _adopt(task: Task) -> list[Step]:
    if "pid" not in task.joined:
        return []
    from tinybox.container.planning import joining

    return joining.adopt(task)


def _clocks(task: Task) -> list[Step]:
    """Plan the parent's part in a time namespace of a user namespace: only the host's root may set its clocks here."""
    offsets = task.linux.get("timeOffsets", {})
    if not (task.userns and offsets and "time" in task.new):
        return []
    says = "Set the clocks of the child's time namespace"
    return [Step("clocks", says, "time_namespaces(7)", spawn.set_clocks, task.handles, offsets)]


def _clocks_of_child(task: Task) -> list[Step]:
    """Plan the child's new time namespace, with the offsets of its clocks; see _clocks() for the parent's part."""
    if "time" not in task.new:
        return []
    offsets = task.linux.get("timeOffsets", {})
    says = f"Enter a new time namespace{', with offsets of its clocks' * bool(offsets)}"
    act = (
        (child.make_time_namespace, task.handles)
        if task.userns and offsets
        else (namespaces.enter_time_namespace, offsets)
    )
    return [Step("time-namespace", says, "time_namespaces(7)", *act)]


def _prepare_namespaces(task: Task) -> list[Step]:
    handles = task.handles
    steps = [
        Step(
            "die-with-parent",
            "Die when tinybox dies",
            "PR_SET_PDEATHSIG(2const)",
            child.die_with_parent,
            signal.SIGKILL,
        ),
        Step("close-foreign", "Close tinybox's own file descriptors", "close_range(2)", child.close_foreign, handles),
        *(() if task.config.get("hooks", {}).get("createContainer") else program.erase_environment(task)),
        *program.reset_own(task),
        *program.leave_keyring(task),
        *_prepare_join(task),
        Step("wait", "Wait until the parent has set the limits", "pipe(7)", child.wait_for_parent, handles),
        *cgroups.join_group(task),
    ]
    if "user" not in task.new:  # a new user namespace has no rights over those of the host: joined before, see _clone()
        steps += _join(task, [kind for kind in task.joined if kind not in ("pid", "user", "mount")])
    if task.userns:
        from tinybox.container.planning import users

        steps.append(users.become_root())
    steps += program.join_keyring(task, new=True)
    if "cgroup" in task.new:
        says = "Make this control group the root of the control groups that the box sees"
        steps.append(Step("cgroup-namespace", says, "cgroup_namespaces(7)", namespaces.enter_cgroup_namespace))
    steps += _clocks_of_child(task)
    if "network" in task.new:
        steps.append(Step("loopback", "Set the interface lo up", "netdevice(7)", namespaces.loopback_up))
    if "mount" in task.joined:  # the last one, because the steps before it need the host's /proc
        steps += _join(task, ["mount"])
    return steps


def _prepare_join(task: Task) -> list[Step]:
    if "pid" not in task.joined:
        return []
    from tinybox.container.planning import joining

    return joining.prepare(task)


def _join(task: Task, kinds: list[str]) -> list[Step]:
    if not kinds:
        return []
    from tinybox.container.planning import joining

    return [joining.join(task, kind) for kind in kinds]


def _change_root(task: Task) -> list[Step]:
    steps = [root_filesystem.change_root(task)]
    masked, readonly = task.linux.get("maskedPaths", []), task.linux.get("readonlyPaths", [])
    if task.linux.get("sysctl"):
        for name, value in task.linux["sysctl"].items():
            says = f"Set the kernel parameter {name} = {value}"
            steps.append(Step(f"sysctl-{name}", says, "proc_sys(5)", entered_root.set_sysctl, name, value))
    if readonly:
        says = "Make kernel files read-only"
        steps.append(Step("readonly-paths", says, "mount_setattr(2)", rootfs.make_paths_readonly, readonly))
    if masked:
        says = "Cover kernel files that a box must not see"
        steps.append(Step("masked-paths", says, "move_mount(2)", rootfs.mask, masked))
    flag = root_filesystem.propagation_of(task)
    if flag:
        says = f"Set the mount propagation of the root to {task.linux['rootfsPropagation']}"
        steps.append(Step("propagation", says, "mount_namespaces(7)", mounts.set_root_propagation, flag))
    return steps


def _set_process(task: Task) -> list[Step]:
    steps: list[Step] = []
    uts = "uts" in (*task.new, *task.joined)
    if task.config.get("hostname") and uts:
        says = f"Set the host name {task.config['hostname']}"
        steps.append(Step("hostname", says, "sethostname(2)", namespaces.set_hostname, task.config["hostname"]))
    if task.config.get("domainname") and uts:
        says, name = f"Set the domain name {task.config['domainname']}", task.config["domainname"]
        steps.append(Step("domainname", says, "setdomainname(2)", namespaces.set_domainname, name))
    steps += program.scheduling(task)
    steps += program.limits(task.process)
    directory = task.process["cwd"]
    says = f"Go to the working directory {directory}"
    steps.append(Step("directory", says, "chdir(2)", entered_root.enter_directory, directory))
    if task.config["root"].get("readonly"):
        says = "Make the root file system read-only; the working directory has been made by now"
        steps.append(Step("readonly-root", says, "mount_setattr(2)", rootfs.make_readonly))
    return steps
