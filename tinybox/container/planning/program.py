"""The last steps of a plan: the program's user, capabilities, seccomp filter, labels, and its start; run and exec."""

from __future__ import annotations

import os

from tinybox.container.process import child, init, spawn, sync_pipe
from tinybox.container.process.plan import Step
from tinybox.container.records import spec
from tinybox.errors import UsageError
from tinybox.isolation import capabilities, inherited, keyring
from tinybox.isolation.seccomp import filters
from tinybox.linux import capability, own_memory, process
from tinybox.linux.signals import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from tinybox.container.planning.task import Task
    from tinybox.container.process.handles import Handles
    from tinybox.container.records.spec import Process


_former: list[Any] = []  # the last profile, compiled, and its flags: containers of one command mostly have the same
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


def rights(task: Task) -> list[Step]:
    """Plan the steps that set the program's user, groups and capabilities, in the only order that works."""
    user, sets = task.process.get("user", {}), granted(task)
    uid, gid = user.get("uid", 0), user.get("gid", 0)
    masks = {name: capability.mask(sets[name]) for name in spec.CAPABILITY_SETS}
    identity = (uid, gid, user.get("additionalGids", []), user.get("umask"))
    steps = []
    if task.process.get("noNewPrivileges"):
        says = "Forbid that execve(2) gives a program more rights (setuid, file capabilities)"
        steps.append(Step("no-new-privs", says, "PR_SET_NO_NEW_PRIVS(2const)", process.set_no_new_privs))
    says = "Remove capabilities from the bounding set, for ever"
    steps += [
        Step("bounding-set", says, "capabilities(7)", capabilities.drop_bounding_set, masks["bounding"]),
        *_early_filter(task),
        Step("identity", f"Become user {uid}, group {gid}", "credentials(7)", capabilities.set_identity, *identity),
        Step("capabilities", "Keep only the capabilities that were granted", "capset(2)", capabilities.set_sets,
             masks["effective"], masks["permitted"], masks["inheritable"], masks["ambient"]),
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
    domain = task.linux.get("personality", {}).get("domain")
    if domain:
        number = process.PER_LINUX32 if domain == "LINUX32" else process.PER_LINUX
        says = f"Set the execution domain {domain}"
        steps.append(Step("personality", says, "personality(2)", process.personality, number))
    return steps


def _labels(task: Task) -> list[Step]:
    """Plan the labels of AppArmor and SELinux for the next execve(2); planner.check_labels() has checked them."""
    steps = []
    for field, file, before in (("apparmorProfile", "apparmor/exec", "exec "), ("selinuxLabel", "exec", "")):
        label = task.process.get(field)
        if label:
            from tinybox.isolation import labels

            act = (labels.label_program, f"process.{field}", file, f"{before}{label}")
            steps.append(Step(f"label-{field}", f"Label the program {label}", "proc_pid_attr(5)", *act))
    return steps


def _early_filter(task: Task) -> list[Step]:
    """Plan the seccomp filter before the capabilities are dropped: without no_new_privs it needs CAP_SYS_ADMIN.

    See seccomp(2). With no_new_privs, the filter is installed as late as possible, so there is no step here.
    """
    profile = task.linux.get("seccomp")
    if not profile or task.process.get("noNewPrivileges"):
        return []
    return _install(task, profile)


def _install(task: Task, profile: dict[str, Any]) -> list[Step]:
    """Plan the seccomp filter as a step of its own; if it has an agent, the parent sends it the listener at once."""
    if not filters.notifies(profile):
        return [Step("seccomp", "Filter the system calls", "seccomp(2)", filters.install, *_filter(task, profile))]
    from tinybox.container.process import seccomp_agent

    if not profile.get("listenerPath"):
        raise UsageError("linux.seccomp.listenerPath", "is missing", "SCMP_ACT_NOTIFY needs an agent that answers")
    task.handles.agent = seccomp_agent.SeccompAgent(
        profile["listenerPath"], profile.get("listenerMetadata", ""), task.container, task.bundle, task.annotations
    )
    says = f"Filter the system calls, and let {profile['listenerPath']} answer for some"
    return [Step("seccomp", says, "seccomp_unotify(2)", install_listener, task.handles, *_filter(task, profile))]


def install_listener(handles: Handles, program: bytes, flags: int) -> None:
    """Install the filter, and report the number of the listener fd to the parent; see seccomp_unotify(2), Linux 5.9.

    From here on, a system call of this process may wait for the agent's answer. The parent copies the listener with
    pidfd_getfd(2), which needs no call of this process.
    """
    handles.sync.send(sync_pipe.LISTENER, str(filters.install(program, flags)).encode())


def _filter(task: Task, profile: dict[str, Any] | None) -> tuple[bytes, int]:
    if not profile:
        return b"", 0
    if not _former or _former[0] is not profile:
        _former[:] = profile, filters.compiled(profile, os.uname().machine, task.host.cache), filters.flags_of(profile)
    return _former[1], _former[2]


def trampoline(task: Task) -> list[Step]:
    """Plan the trampoline, the program that executes the box's program.

    With an SELinux label there is no trampoline: the label applies to the first program that is executed, and a file in
    memory may not enter its domain. In that case the label prevents writes of the box to the host's programs.
    """
    if task.process.get("selinuxLabel"):
        return []
    says = "Make the trampoline: a program of 200 bytes that executes the box's program"
    return [Step("trampoline", says, "memfd_create(2)", spawn.make_trampoline, task.handles)]


def erase_environment() -> list[Step]:
    """Plan to erase tinybox's environment variables from the child's memory."""
    says = "Erase tinybox's environment variables from memory"
    return [Step("erase-environment", says, "environ(7)", own_memory.erase_environment)]


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


def adopt(task: Task) -> list[Step]:
    """Plan the parent's steps for a child that joins an existing pid namespace."""
    says = "Wait until the child goes on in the other pid namespace"
    return [
        Step("adopt", says, "clone(2)", spawn.adopt, task.handles),
        Step("go-on-inside", "Let the child go on there", "pipe(7)", spawn.go_on, task.handles),
    ]


def _go_inside(task: Task, mode: str) -> list[Step]:
    """Plan how a child enters an existing pid namespace, after it has given up all data and rights of the host.

    Its seccomp filter is installed before, unless an agent answers some of the calls.
    """
    profile = task.linux.get("seccomp") if task.process.get("noNewPrivileges") else None
    return [
        *(_install(task, profile) if profile and not filters.notifies(profile) else []),
        _name(task, mode),
        Step("go-inside", "Go on in the joined pid namespace", "clone(2)", child.enter_pid_namespace, task.handles),
    ]


def _name(task: Task, mode: str) -> Step:
    name = b"tinybox:init" if mode in (init.FORWARD, init.REAP) else b"tinybox:child"
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
    planned, listening = _program(task, joins)
    alone = "pid" in task.new and "mount" in task.new and not joins
    steps = [
        Step("find-program", f"Find {task.process['args'][0]}", "execvp(3)", init.find, planned, handles, alone),
        Step("hide", "Hide this process again after the change of user", "PR_SET_DUMPABLE(2const)", child.hide),
        *(_go_inside(task, mode) if joins else ()),
        *_parent_death(handles, dies_with_parent, joins),
    ]
    if is_init and "pid" not in task.new:
        says = "Adopt orphans like a PID 1, without being one"
        steps.append(Step("subreaper", says, "PR_SET_CHILD_SUBREAPER(2const)", process.set_child_subreaper))
    steps += [
        *listening,
        Step("ready", "Report that all is ready, and wait for `start`", "pipe(7)", child.report_ready, handles),
        *before,
        *_labels(task),
        Step("close", "Close all file descriptors except 0, 1 and 2", "close_range(2)", child.close_inherited, handles),
        *([_name(task, mode)] if is_init and not joins else []),
    ]
    endings = {init.NONE: "Become the program", init.LEAVE: "Start the program, and leave it to PID 1"}
    says = endings.get(mode, "Start the program, and stay as PID 1")
    return [*steps, Step("program", says, "execve(2)", init.run, mode, planned, handles)]


def _program(task: Task, joins: bool) -> tuple[init.Program, list[Step]]:
    """Return the program with its seccomp filter; if an agent answers some calls, the filter is a step instead."""
    profile = task.linux.get("seccomp") if task.process.get("noNewPrivileges") else None
    listening = _install(task, profile) if profile and filters.notifies(profile) else []
    if listening or joins:  # the filter has a step of its own, here or in _go_inside()
        profile = None
    program, flags = _filter(task, profile)
    terminal = bool(task.process.get("terminal"))
    args, env = task.process["args"], task.process.get("env", [])
    return init.Program(args, env, terminal=terminal, filter=program, flags=flags), listening


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
