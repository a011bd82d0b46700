"""The plan's last chapter: whose rights the program has, and how it begins. Shared by `run` and `exec`."""

from __future__ import annotations

import os

from tinybox.container.process import child, init, spawn, sync_pipe
from tinybox.container.process.plan import Step
from tinybox.container.records import spec
from tinybox.errors import UsageError
from tinybox.isolation import capabilities, keyring
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


_former: list[Any] = []  # the last profile, its program and flags: one program's containers mostly share one


def leave_keyring(task: Task) -> list[Step]:
    """Plan how the caller's session keyring is left before a user namespace is ours, where keys are few."""
    if not (task.keyring and task.userns):
        return []
    says = "Leave the caller's keys: take an empty session keyring"
    return [Step("leave-keyring", says, "session-keyring(7)", keyring.leave)]


def take_keyring(task: Task, *, new: bool) -> list[Step]:
    """Plan the container's own session keyring, by runc's name for it: *new*, or that of a container that is joined."""
    if not task.keyring:
        return []
    says = "Take a session keyring of the container's own, for the caller's keys are not its business"
    act = (f"_ses.{task.container}", new, task.userns)
    return [Step("keyring", says, "session-keyring(7)", keyring.join, *act)]


def rights(task: Task) -> list[Step]:
    """Plan how the program's user, groups and capabilities come about, in the only order that works."""
    user, sets = task.process.get("user", {}), granted(task)
    uid, gid = user.get("uid", 0), user.get("gid", 0)
    masks = {name: capability.mask(sets[name]) for name in spec.CAPABILITY_SETS}
    who = (uid, gid, user.get("additionalGids", []), user.get("umask"))
    steps = []
    if task.process.get("noNewPrivileges"):
        says = "Let no program gain rights by being executed"
        steps.append(Step("no-new-privs", says, "PR_SET_NO_NEW_PRIVS(2const)", process.set_no_new_privs))
    says = "Take rights away for good"
    steps += [
        Step("bounding-set", says, "capabilities(7)", capabilities.drop_bounding_set, masks["bounding"]),
        *_early_filter(task),
        Step("identity", f"Become user {uid}, group {gid}", "credentials(7)", capabilities.set_identity, *who),
        Step("capabilities", "Keep only the rights that were given", "capset(2)", capabilities.set_sets,
             masks["effective"], masks["permitted"], masks["inheritable"], masks["ambient"]),
    ]  # fmt: skip
    return steps


def granted(task: Task) -> dict[str, list[str]]:
    """Return the five sets without what is not to be had; the task is warned of it, as OCI's config.md wants it.

    In a user namespace its root has them all, over what belongs to it.
    """
    has = capability.NAMES if task.userns else task.host.capabilities
    asked = {name: task.process.get("capabilities", {}).get(name, []) for name in spec.CAPABILITY_SETS}
    for word in sorted({word for words in asked.values() for word in words} - set(has)):
        why = "this host's root does not have it" if word in capability.NUMBERS else "there is no such capability"
        task.warnings.append(f"process.capabilities: {word}: {why}")
    return {name: [word for word in words if word in has] for name, words in asked.items()}


def turns(task: Task) -> list[Step]:
    """Plan what of the machine's time the program gets, and which machine it believes to be on."""
    wanted, steps = task.process, []
    if wanted.get("scheduler") or wanted.get("ioPriority"):
        from tinybox.isolation import priorities
    if wanted.get("scheduler"):
        says, act = "Choose how it is scheduled", priorities.scheduler(wanted["scheduler"])
        steps.append(Step("scheduler", says, "sched_setattr(2)", priorities.set_scheduler, *act))
    if wanted.get("ioPriority"):
        says, share = "Choose its turn at the disks", priorities.io_priority(wanted["ioPriority"])
        steps.append(Step("io-priority", says, "ioprio_set(2)", priorities.set_io_priority, *share))
    domain = task.linux.get("personality", {}).get("domain")
    if domain:
        number = process.PER_LINUX32 if domain == "LINUX32" else process.PER_LINUX
        steps.append(Step("personality", f"Be {domain}", "personality(2)", process.personality, number))
    return steps


def _labels(task: Task) -> list[Step]:
    """Plan the labels of AppArmor and SELinux, for the next execve(2); whether they are there, `planner` has asked."""
    steps = []
    for field, file, before in (("apparmorProfile", "apparmor/exec", "exec "), ("selinuxLabel", "exec", "")):
        label = task.process.get(field)
        if label:
            from tinybox.isolation import labels

            act = (labels.label_program, f"process.{field}", file, f"{before}{label}")
            steps.append(Step(f"label-{field}", f"Label the program {label}", "proc_pid_attr(5)", *act))
    return steps


def _early_filter(task: Task) -> list[Step]:
    """Without no_new_privs only CAP_SYS_ADMIN may install a filter: so before the rights go. See seccomp(2)."""
    profile = task.linux.get("seccomp")
    if not profile or task.process.get("noNewPrivileges"):
        return []
    return _install(task, profile)


def _install(task: Task, profile: dict[str, Any]) -> list[Step]:
    """Plan the filter as a step of its own; where it notifies somebody, the listener is handed over at once."""
    if not filters.notifies(profile):
        return [Step("seccomp", "Filter the system calls", "seccomp(2)", filters.install, *_filter(task, profile))]
    from tinybox.container.process import seccomp_agent

    if not profile.get("listenerPath"):
        raise UsageError("linux.seccomp.listenerPath", "is missing", "SCMP_ACT_NOTIFY needs somebody who answers")
    task.handles.agent = seccomp_agent.SeccompAgent(
        profile["listenerPath"], profile.get("listenerMetadata", ""), task.container, task.bundle, task.annotations
    )
    says = f"Filter the system calls, and let {profile['listenerPath']} answer for some"
    return [Step("seccomp", says, "seccomp_unotify(2)", install_listener, task.handles, *_filter(task, profile))]


def install_listener(handles: Handles, program: bytes, flags: int) -> None:
    """Filter the system calls, and tell the parent where the listener is; see seccomp_unotify(2), Linux 5.9.

    From here on a call may wait for the agent's answer; the parent takes the listener without our help.
    """
    handles.sync.tell(sync_pipe.LISTENER, str(filters.install(program, flags)).encode())


def _filter(task: Task, profile: dict[str, Any] | None) -> tuple[bytes, int]:
    if not profile:
        return b"", 0
    if not _former or _former[0] is not profile:
        _former[:] = profile, filters.compiled(profile, os.uname().machine, task.host.cache), filters.flags_of(profile)
    return _former[1], _former[2]


def trampoline(task: Task) -> list[Step]:
    """Plan the program that executes the box's.

    With a label of SELinux there is none: the label is for the first program that is executed, and may not enter by a
    file in memory. There the label keeps the box from writing to the host's programs.
    """
    if task.process.get("selinuxLabel"):
        return []
    says = "Make the program of 200 bytes that executes the box's"
    return [Step("trampoline", says, "memfd_create(2)", spawn.make_trampoline, task.handles)]


def erase_environment() -> list[Step]:
    """Plan that the child's memory has none of the host's variables."""
    says = "Forget the variables that tinybox was started with"
    return [Step("erase-environment", says, "environ(7)", own_memory.erase_environment)]


def adopt(task: Task) -> list[Step]:
    """Plan the parent's side of a child that joins the pid namespace of others."""
    says = "Wait until the child goes on in the other pid namespace"
    return [
        Step("adopt", says, "clone(2)", spawn.adopt, task.handles),
        Step("go-on-inside", "Let it go on there", "pipe(7)", spawn.go_on, task.handles),
    ]


def _go_inside(task: Task, mode: str) -> list[Step]:
    """Plan how a child joins the pid namespace of others: with nothing of the host's left to be seen or taken.

    Its filter is in force before, unless an agent answers for a part of it.
    """
    profile = task.linux.get("seccomp") if task.process.get("noNewPrivileges") else None
    return [
        *(_install(task, profile) if profile and not filters.notifies(profile) else []),
        _name(task, mode),
        Step("go-inside", "Go on as a new process, among the others", "clone(2)", child.be_born_again, task.handles),
    ]


def _name(task: Task, mode: str) -> Step:
    name = b"tinybox:init" if mode in (init.FORWARD, init.REAP) else b"tinybox:child"
    says = f"Take the name {name.decode()} and forget the host's command line"
    return Step("name", says, "PR_SET_NAME(2const)", own_memory.set_title, name, task.host.arguments)


def begin(
    task: Task, mode: str, *, joins: bool = False, dies_with_parent: bool = True, before: Sequence[Step] = ()
) -> list[Step]:
    """Plan the last steps: find the program, say that all is ready, wait for the word, and be it, or its PID 1.

    With *joins*, the child joins a pid namespace that has processes already. *before* are steps between the word and
    the program.
    """
    handles, is_init = task.handles, mode in (init.FORWARD, init.REAP)
    wanted, listening = _program(task, joins)
    alone = "pid" in task.new and "mount" in task.new and not joins
    steps = [
        Step("find-program", f"Find {task.process['args'][0]}", "execvp(3)", init.find, wanted, handles, alone),
        Step("hide", "Hide once more: the new user has cleared it", "PR_SET_DUMPABLE(2const)", child.hide),
        *(_go_inside(task, mode) if joins else ()),
        *_parent_death(handles, dies_with_parent, joins),
    ]
    if is_init and "pid" not in task.new:
        says = "Adopt orphans, without being PID 1"
        steps.append(Step("subreaper", says, "PR_SET_CHILD_SUBREAPER(2const)", process.set_child_subreaper))
    steps += [
        *listening,
        Step("ready", "Tell the parent that all is ready, wait for its word", "pipe(7)", child.report_ready, handles),
        *before,
        *_labels(task),
        Step("close", "Keep no file open but 0, 1 and 2", "close_range(2)", child.close_inherited, handles),
        *([_name(task, mode)] if is_init and not joins else []),
    ]
    endings = {init.NONE: "Become the program", init.LEAVE: "Start the program, and leave it to PID 1"}
    says = endings.get(mode, "Start the program, and be PID 1")
    return [*steps, Step("program", says, "execve(2)", init.run, mode, wanted, handles)]


def _program(task: Task, joins: bool) -> tuple[init.Program, list[Step]]:
    """Return the program with its filter; where an agent answers for a part of that, it is a step, returned as well."""
    profile = task.linux.get("seccomp") if task.process.get("noNewPrivileges") else None
    listening = _install(task, profile) if profile and filters.notifies(profile) else []
    if listening or joins:  # a child that joins others has installed it before
        profile = None
    program, flags = _filter(task, profile)
    terminal = bool(task.process.get("terminal"))
    args, env = task.process["args"], task.process.get("env", [])
    return init.Program(args, env, terminal=terminal, filter=program, flags=flags), listening


def _parent_death(handles: Handles, dies_with_parent: bool, joins: bool) -> list[Step]:
    if dies_with_parent and handles.dies_with_parent:
        says = "Die when tinybox dies: the new user has cleared it"
        return [Step("die-with-parent-again", says, "PR_SET_PDEATHSIG(2const)", child.die_with_parent, signal.SIGKILL)]
    if joins or not handles.dies_with_parent:
        says = "Live on when tinybox ends: another process will say when to start"
        return [Step("outlive-parent", says, "PR_SET_PDEATHSIG(2const)", child.live_on)]
    return []


def limits(process: Process) -> list[Step]:
    """Return the steps of process.rlimits; an unknown name is an error of the plan, not of a step; see setrlimit(2)."""
    if not process.get("rlimits"):
        return []
    from tinybox.isolation import rlimits

    steps = []
    for entry in process["rlimits"]:
        rlimits.number(entry["type"])
        says, limit = f"Limit each process: {entry['type']}", (entry["type"], entry["soft"], entry["hard"])
        steps.append(Step(f"limit-{entry['type']}", says, "setrlimit(2)", rlimits.set_limit, *limit))
    return steps
