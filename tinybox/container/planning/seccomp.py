"""The steps of the seccomp filter: as a rule the trampoline installs it, and in some cases a step of the plan."""

from __future__ import annotations

import os

from tinybox.container.process import sync_pipe
from tinybox.container.process.plan import Step
from tinybox.errors import UsageError
from tinybox.isolation.seccomp import filters

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tinybox.container.planning.task import Task
    from tinybox.container.process.handles import Handles
    from tinybox.isolation.confinement import Confinement

_former: list[Any] = []  # the last profile, compiled, and its flags: containers of one command mostly have the same


def confinement(task: Task, masks: dict[str, int], uid: int, *, joins: bool) -> Confinement | None:
    """Return the seccomp filter, and when it is installed: as a rule by the trampoline, just before the program.

    It is installed early, by a step of the plan, if an agent answers some calls; if processes of the box may trace
    this one, which has no filter yet; and if this process *joins* a pid namespace, where such processes may be.

    Without no_new_privs, it needs CAP_SYS_ADMIN. For the trampoline, execve(2) computes the permitted set: from the
    bounding and inheritable sets for root, and from the ambient set for others.
    """
    profile = task.linux.get("seccomp")
    if not profile:
        return None
    from tinybox.isolation.confinement import Confinement

    sets = (masks["effective"], masks["permitted"], masks["inheritable"])
    passed = (masks["ambient"] if uid else masks["bounding"] | masks["inheritable"], masks["inheritable"])
    soon = joins or filters.notifies(profile) or bool({"CAP_SYS_PTRACE"} & set(rights_of_box(task)))
    privileged = None if task.process.get("noNewPrivileges") else sets
    return Confinement(*_filter(task, profile), privileged, passed, early=soon)


def rights_of_box(task: Task) -> list[str]:
    """Return the capabilities that processes of the box may have; one that exec runs is one of them."""
    return [
        name
        for process in (task.process, task.first_process)
        for names in process.get("capabilities", {}).values()
        for name in names
    ]


def early(task: Task) -> list[Step]:
    """Plan the seccomp filter as a step of its own; if it has an agent, the parent sends it the listener at once."""
    profile = task.linux.get("seccomp", {})
    if not task.confinement or not task.confinement.early:
        return []
    if not filters.notifies(profile):
        return [Step("seccomp", "Filter the system calls", "seccomp(2)", task.confinement.install)]
    from tinybox.container.process import seccomp_agent

    if not profile.get("listenerPath"):
        raise UsageError("linux.seccomp.listenerPath", "is missing", "SCMP_ACT_NOTIFY needs an agent that answers")
    task.handles.agent = seccomp_agent.SeccompAgent(
        profile["listenerPath"], profile.get("listenerMetadata", ""), task.container, task.bundle, task.annotations
    )
    says = f"Filter the system calls, and let {profile['listenerPath']} answer for some"
    return [Step("seccomp", says, "seccomp_unotify(2)", install_listener, task.handles, task.confinement)]


def install_listener(handles: Handles, limit: Confinement) -> None:
    """Install the filter, and report the number of the listener fd to the parent; see seccomp_unotify(2), Linux 5.9.

    From here on, a system call of this process may wait for the agent's answer. The parent copies the listener with
    pidfd_getfd(2), which needs no call of this process. Then this process closes it.
    """
    listener = limit.install()
    handles.sync.send(sync_pipe.LISTENER, str(listener).encode())
    handles.sync.wait(sync_pipe.ON)
    os.close(listener)


def _filter(task: Task, profile: dict[str, Any]) -> tuple[bytes, int]:
    if not _former or _former[0] is not profile:
        _former[:] = profile, filters.compiled(profile, os.uname().machine, task.host.cache), filters.flags_of(profile)
    return _former[1], _former[2]
