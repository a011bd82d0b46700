"""The steps by which tinybox's Python stops being PID 1 of the box: the trampoline's gate, filter, and native init."""

from __future__ import annotations

from tinybox.container.planning import seccomp
from tinybox.container.process import child, init
from tinybox.container.process.plan import Step
from tinybox.linux import process, user_namespaces

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinybox.container.planning.task import Task
    from tinybox.container.process.handles import Handles


def close_gate(handles: Handles, planned: init.Program, *, waits: bool) -> list[Step]:
    """Plan the end of the gate, or, if the trampoline *waits*, a pipe in its place, at which it will wait."""
    if not waits:
        says = "Close the gate: only 0, 1 and 2 are left for the program"
        return [Step("close", says, "close(2)", child.close_gate, handles)]
    says = "Close the gate, and make a pipe in its place, at which the trampoline will wait"
    return [Step("close", says, "pipe(2)", init.replace_gate, planned, handles)]


def filter_of_pid_1(task: Task, planned: init.Program, *, waits: bool) -> list[Step]:
    """Plan what PID 1 does between the trampoline, which will install the program's filter, and the program."""
    if not waits:
        return []
    limit = task.confinement if task.confinement is not None and task.confinement.comes_late() else None
    says = "Start the trampoline, which waits"
    if limit is not None:
        says += ", and will install the program's filter"
    steps = [Step("start-trampoline", says, "posix_spawn(3)", init.start_waiting, planned, task.handles)]
    if limit is not None:
        says = "Filter the system calls of PID 1, too: it only waits"
        steps.append(Step("seccomp", says, "seccomp(2)", limit.relinquish))
    return steps


def native(mode: str, handles: Handles) -> list[Step]:
    """Plan the native init; see linux/machine_code/native_init.py."""
    from tinybox.linux.machine_code import native_init

    content = native_init.program(forward=mode == init.FORWARD)
    says = "Make PID 1's program of 300 bytes, so that no file of the host is mapped there"
    return [Step("native-init", says, "memfd_create(2)", make_native, handles, content)]


def make_native(handles: Handles, content: bytes) -> None:
    """Make the native init, an ELF file with this *content*, in sealed memory; see memfd_create(2)."""
    from tinybox.linux.machine_code import native_init

    handles.native = native_init.make(content)


def is_native(task: Task, *, joins: bool) -> bool:
    """Return whether PID 1 is to be the native init: a process of the box could look at tinybox's Python.

    Without root, it also is if no other command could look at this Python, whose memory was made outside of the user
    namespace. Of other boxes PID 1 stays Python: criu restores no process whose program is a memory file.
    """
    is_visible = joins or user_namespaces.stayed or "CAP_SYS_PTRACE" in seccomp.rights_of_box(task)
    return is_visible and not _has_label(task)


def adopt_orphans() -> list[Step]:
    """Plan that a process that is not PID 1 adopts the orphans of its descendants as PID 1 does."""
    says = "Adopt orphans like a PID 1, without being one"
    return [Step("subreaper", says, "PR_SET_CHILD_SUBREAPER(2const)", process.set_child_subreaper)]


def _has_label(task: Task) -> bool:
    """Return whether the program gets a label of AppArmor or SELinux, which PID 1 would get by its own execve(2)."""
    return bool(task.process.get("apparmorProfile") or task.process.get("selinuxLabel"))
