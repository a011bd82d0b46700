"""The last steps of a plan: the program's user, capabilities, seccomp filter, labels, and its start; run and exec."""

from __future__ import annotations

from tinybox.container.planning import pid_1, seccomp
from tinybox.container.process import child, init, spawn
from tinybox.container.process.plan import Step
from tinybox.container.records import spec
from tinybox.isolation import capabilities, inherited, keyring
from tinybox.linux import capability, own_memory, process
from tinybox.linux.signals import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from tinybox.container.planning.task import Task
    from tinybox.container.process.handles import Handles
    from tinybox.container.records.spec_types import Process


# The kernel grants the first set nothing that the second one lacks; see capset(2) and PR_CAP_AMBIENT in prctl(2).
_WITHIN = (
    ("effective", "permitted"),
    ("inheritable", "bounding"),
    ("ambient", "permitted"),
    ("ambient", "inheritable"),
)


def leave_keyring(task: Task) -> list[Step]:
    """Plan to leave the caller's session keyring before a user namespace is entered, where the key quota is small."""
    if not (task.keyring and task.userns):
        return []
    says = "Leave the caller's session keyring for a new, empty one"
    return [Step("leave-keyring", says, "session-keyring(7)", keyring.leave)]


def join_keyring(task: Task, *, new: bool) -> list[Step]:
    """Plan the container's session keyring, with the name that runc uses: a *new* one, or a running container's."""
    if not task.keyring:
        return []
    says = "Join the container's own session keyring, so that it cannot use the caller's keys"
    act = (f"_ses.{task.container}", new, task.userns)
    return [Step("keyring", says, "session-keyring(7)", keyring.join, *act)]


def rights(task: Task, mode: str, *, joins: bool) -> list[Step]:
    """Plan the steps that set the program's user, groups and capabilities, in the only order that works.

    The seccomp filter is planned with them, see planning/seccomp.py; *mode* and *joins* are as for `begin`.
    """
    user, sets = task.process.get("user", {}), granted(task)
    uid, gid = user.get("uid", 0), user.get("gid", 0)
    masks = {name: capability.mask(sets[name]) for name in spec.CAPABILITY_SETS}
    identity = (uid, gid, user.get("additionalGids", []), user.get("umask"))
    task.confinement = limit = seccomp.confinement(task, masks, uid, joins=joins)
    needed, late = limit.needed() if limit else 0, limit and limit.comes_late() and not task.process.get("selinuxLabel")
    inherited = needed if late else 0  # root of the trampoline gets its rights by execve(2), others by the ambient set
    # If execve(2) gave this process itself a right that it has not had, it would not die with its parent any more.
    kept = 0 if late and uid == 0 and mode in (init.FORWARD, init.REAP) else needed
    steps = []
    if task.process.get("noNewPrivileges"):
        says = "Forbid that execve(2) gives a program more rights (setuid, file capabilities)"
        steps.append(Step("no-new-privs", says, "PR_SET_NO_NEW_PRIVS(2const)", process.set_no_new_privs))
    says = "Remove capabilities from the bounding set, for ever"
    steps += [
        Step("bounding-set", says, "capabilities(7)", capabilities.drop_bounding_set, masks["bounding"], inherited),
        Step("identity", f"Become user {uid}, group {gid}", "credentials(7)", capabilities.set_identity, *identity),
        Step("capabilities", "Keep only the capabilities that were granted", "capset(2)", capabilities.set_sets,
             masks["effective"], masks["permitted"] | kept, masks["inheritable"] | inherited,
             masks["ambient"] | (inherited if uid else 0)),
    ]  # fmt: skip
    return steps


def granted(task: Task) -> dict[str, list[str]]:
    """Return the five capability sets without those that cannot be granted here; each of these becomes a warning.

    OCI's config.md requires a warning instead of an error, and a set gets nothing that it does not list. In a user
    namespace, root has all capabilities, over the resources of that namespace.
    """
    has = capability.NAMES if task.userns else task.host.capabilities
    sets = {name: task.process.get("capabilities", {}).get(name, []) for name in spec.CAPABILITY_SETS}
    for missing in sorted({granted for members in sets.values() for granted in members} - set(has)):
        why = "this host's root does not have it" if missing in capability.NUMBERS else "there is no such capability"
        task.warnings.append(f"process.capabilities: {missing}: {why}")
    sets = {name: [granted for granted in members if granted in has] for name, members in sets.items()}
    for name, other in _WITHIN:
        for missing in [member for member in sets[name] if member not in sets[other]]:
            task.warnings.append(f"process.capabilities.{name}: {missing}: it is not in {other}, too")
        sets[name] = [member for member in sets[name] if member in sets[other]]
    return sets


def scheduling(task: Task) -> list[Step]:
    """Plan the process's scheduling policy, I/O priority and personality (the machine that uname(2) returns)."""
    settings, steps = task.process, []
    if settings.get("scheduler") or settings.get("ioPriority"):
        from tinybox.isolation import priorities
    if settings.get("scheduler"):
        says, act = "Set the scheduling policy", priorities.scheduler(settings["scheduler"])
        steps.append(Step("scheduler", says, "sched_setattr(2)", priorities.set_scheduler, *act))
    if settings.get("ioPriority"):
        says, share = "Set the I/O priority", priorities.io_priority(settings["ioPriority"])
        steps.append(Step("io-priority", says, "ioprio_set(2)", priorities.set_io_priority, *share))
    if task.linux.get("memoryPolicy"):
        from tinybox.isolation import memory_policy

        says, policy = "Set from which nodes it gets memory", memory_policy.values(task.linux["memoryPolicy"])
        steps.append(Step("memory-policy", says, "set_mempolicy(2)", memory_policy.set_policy, *policy))
    domain = task.linux.get("personality", {}).get("domain")
    if domain:
        number = process.PER_LINUX32 if domain == "LINUX32" else process.PER_LINUX
        says = f"Set the execution domain {domain}"
        steps.append(Step("personality", says, "personality(2)", process.personality, number))
    return steps


def _labels(task: Task) -> list[Step]:
    """Plan the labels of AppArmor and SELinux for the next execve(2); planning/labels.py has checked them."""
    steps = []
    for field, file, before in (("apparmorProfile", "apparmor/exec", "exec "), ("selinuxLabel", "exec", "")):
        label = task.process.get(field)
        if label:
            from tinybox.isolation import labels

            act = (labels.label_program, f"process.{field}", file, f"{before}{label}")
            steps.append(Step(f"label-{field}", f"Label the program {label}", "proc_pid_attr(5)", *act))
    return steps


def trampoline(task: Task) -> list[Step]:
    """Plan the trampoline, the program that executes the box's program.

    With an SELinux label there is no trampoline: the label applies to the first program that is executed, and a file in
    memory may not enter its domain. In that case the label prevents writes of the box to the host's programs.
    """
    if task.process.get("selinuxLabel"):
        return []
    says = "Make the trampoline: a program of 200 bytes that executes the box's program"
    if task.confinement and task.confinement.comes_late():
        says = "Make the trampoline: a program that installs the seccomp filter and executes the box's program"
    act = (spawn.make_trampoline, task.handles, task.confinement, task.waits)
    return [Step("trampoline", says, "memfd_create(2)", *act)]


def erase_environment(task: Task) -> list[Step]:
    """Plan to erase tinybox's environment variables from the child's memory."""
    says = "Erase tinybox's environment variables from memory"
    return [Step("erase-environment", says, "environ(7)", own_memory.erase_environment, task.host.arguments)]


def reset_child(task: Task) -> list[Step]:
    """Plan the attributes of the child that it would inherit from tinybox's caller, and that its parent sets."""
    names = [name for name in task.inherited if name in inherited.OF_CHILD]
    if task.process.get("execCPUAffinity", {}).get("initial"):
        names = [name for name in names if name != inherited.PROCESSORS]
    if not names:
        return []
    says = "Give the child the default attributes, not those of tinybox's caller"
    return [Step("inherited", says, "sched(7)", spawn.reset_inherited, task.handles, names)]


def reset_own(task: Task) -> list[Step]:
    """Plan those attributes that only the child itself can set."""
    names = [name for name in task.inherited if name in inherited.OWN]
    if not names:
        return []
    says = "Take the default attributes, not those of tinybox's caller"
    return [Step("inherited-own", says, "prctl(2)", inherited.reset_own, names)]


def _go_inside(task: Task, mode: str) -> list[Step]:
    """Plan how a child enters an existing pid namespace, after it has given up all data and rights of the host.

    Its seccomp filter is installed before. But without the right to install it, the filter of an agent can come after
    that: then the agent gets the pid of the process that becomes the program.
    """
    from tinybox.container.planning import joining

    here = [_name(task, mode), joining.go_inside(task)]
    filtered = seccomp.early(task)
    if task.handles.agent is not None and task.process.get("noNewPrivileges"):
        return [*here, *filtered]
    return [here[0], *filtered, here[1]]


def _name(task: Task, mode: str) -> Step:
    name = b"tinybox:init" if mode in (init.FORWARD, init.REAP) else child.NAME
    says = f"Take the name {name.decode()}, and erase tinybox's command line from memory"
    return Step("name", says, "PR_SET_NAME(2const)", own_memory.set_title, name, task.host.arguments)


def begin(
    task: Task, mode: str, *, joins: bool = False, dies_with_parent: bool = True, before: Sequence[Step] = ()
) -> list[Step]:
    """Plan the last steps: find the program, report `ready`, wait for `start`, and become the program or its PID 1.

    With *joins*, the child joins a pid namespace that has processes already. The steps *before* come after `start` and
    before the program.
    """
    handles, is_init = task.handles, mode in (init.FORWARD, init.REAP)
    planned, keeps_proc = _program(task, is_init=is_init), _keeps_proc(task, joins=joins)
    act, late = (mode, planned, handles), task.confinement is not None and task.confinement.comes_late()
    planned.is_shy = is_init and pid_1.is_native(task, joins=joins)
    task.waits = waits = is_init and (late or planned.is_shy)
    says = "Close all file descriptors except 0, 1, 2 and those to wait for `start`"
    gives, terminal = "Wait until tinybox has the other end of the terminal", task.process.get("terminal")
    steps = [
        Step("find-program", f"Find {task.process['args'][0]}", "execvp(3)", init.find, planned, handles, keeps_proc),
        Step("hide", "Hide this process again after the change of user", "PR_SET_DUMPABLE(2const)", child.hide),
        *([Step("hand-over-terminal", gives, "pidfd_getfd(2)", child.hand_over_terminal, handles)] if terminal else []),
        Step("close-rest", says, "close_range(2)", child.close_inherited, handles),
        *(pid_1.native(mode, handles) if planned.is_shy else ()),
        *(_go_inside(task, mode) if joins else ()),
        *_parent_death(handles, dies_with_parent, joins),
    ]
    steps += [
        *(pid_1.adopt_orphans() if is_init and "pid" not in task.new else ()),
        *(() if joins else seccomp.early(task)),
        Step("ready", "Report that all is ready, and wait for `start`", "pipe(7)", child.report_ready, handles),
        *before,
        *_labels(task),
        *pid_1.close_gate(handles, planned, waits=waits),
        *([_name(task, mode)] if is_init and not joins else []),
    ]
    endings = {init.NONE: "Become the program", init.LEAVE: "Start the program, and leave it to PID 1"}
    says = endings.get(mode, "Start the program, and stay as PID 1")
    return [
        *steps,
        *pid_1.filter_of_pid_1(task, planned, waits=waits),
        Step("program", says, "execve(2)", init.run, *act),
    ]


def _program(task: Task, *, is_init: bool) -> init.Program:
    """Return the program, as init.run() needs it."""
    args, env = task.process["args"], task.process.get("env", [])
    planned = init.Program(args, env, terminal=bool(task.process.get("terminal")), confinement=task.confinement)
    planned.title = task.host.arguments[0] if is_init else 0
    if planned.title:
        from tinybox.linux.machine_code import native_init  # noqa: F401  PID 1 uses it, and can load no module
    return planned


def _keeps_proc(task: Task, *, joins: bool) -> bool:
    """Return whether no process of the box can cover its /proc: there, the trampoline has a path that can be trusted.

    That is so in a mount namespace of its own, if the box has no other processes, or none that may mount.
    """
    own = "mount" in task.new
    return own and (("pid" in task.new and not joins) or "CAP_SYS_ADMIN" not in seccomp.rights_of_box(task))


def _parent_death(handles: Handles, dies_with_parent: bool, joins: bool) -> list[Step]:
    if dies_with_parent and handles.dies_with_parent:
        says = "Die when tinybox dies, again: the change of user has cleared that"
        return [Step("die-with-parent-again", says, "PR_SET_PDEATHSIG(2const)", child.die_with_parent, signal.SIGKILL)]
    if joins or not handles.dies_with_parent:
        says = "Go on when tinybox ends"
        return [Step("outlive-parent", says, "PR_SET_PDEATHSIG(2const)", child.outlive_parent)]
    return []


def limits(process: Process) -> list[Step]:
    """Plan process.rlimits; an unknown name is a UsageError here and not an error of a step; see setrlimit(2)."""
    if not process.get("rlimits"):
        return []
    from tinybox.isolation import rlimits

    steps = []
    for entry in process["rlimits"]:
        rlimits.number(entry["type"])
        says, limit = f"Limit each process: {entry['type']}", (entry["type"], entry["soft"], entry["hard"])
        steps.append(Step(f"limit-{entry['type']}", says, "setrlimit(2)", rlimits.set_limit, *limit))
    return steps
