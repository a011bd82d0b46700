"""The child's side of a container's birth: it walks its steps and turns into the program. No import, no return.

From clone3(2) on, this process is the container. Whatever it needs has been loaded and decided by the parent; it tells
the parent how it went in words over a pipe, never on the user's terminal.
"""

from __future__ import annotations

import os

from tinybox import explain
from tinybox.container.process import sync_pipe
from tinybox.linux import files, process
from tinybox.linux.signals import signal as signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from tinybox.container.process.handles import Handles
    from tinybox.container.process.plan import Step

PROGRAM_FAILED = 125


def become(steps: list[Step], handles: Handles) -> NoReturn:
    """Carry out the child's *steps*, which end in the program, or report why not and exit with 125."""
    try:
        process.set_name(b"tinybox:child")
        for step in steps:
            step.run()
    except BaseException as error:  # noqa: BLE001  whatever it is, the parent must hear of it
        handles.sync.tell_error(error)
    os._exit(PROGRAM_FAILED)


def wait_for_parent(handles: Handles) -> None:
    """Wait until the parent has put this process into its control groups and written its id maps."""
    handles.sync.wait(sync_pipe.GO)


def join_pid_namespace(handles: Handles) -> None:
    """Let the next child of this process be born in another pid namespace; this one stays outside; see setns(2).

    In there it would be seen while it still has the host's files and root's rights: with CAP_SYS_PTRACE the others read
    and write both through /proc/PID/root and /proc/PID/mem.
    """
    process.setns(handles.namespace_fds["pid"], process.CLONE_NEWPID)


def make_namespaces(handles: Handles, flags: int) -> None:
    """Leave the namespaces that *flags* name for new ones, and tell the parent; see unshare(2)."""
    process.unshare(flags)
    handles.sync.tell(sync_pipe.NAMESPACES)


def be_born_again(handles: Handles) -> None:
    """Go on as a new process, which is born in the pid namespace that was joined; see clone(2).

    It has no rights that it could lose there. CLONE_PARENT makes it a child of tinybox, as this one is. It waits until
    tinybox knows it.
    """
    pid = process.clone(process.CLONE_PARENT)
    if pid:
        handles.sync.tell(sync_pipe.BORN, str(pid).encode())
        os._exit(0)
    process.set_parent_death_signal(signals.SIGKILL)
    handles.sync.wait(sync_pipe.ON)


def report_ready(handles: Handles) -> None:
    """Tell the parent that everything but the program is there, and wait for its word to start."""
    handles.sync.tell(sync_pipe.READY, str(handles.master).encode())
    handles.sync.wait(sync_pipe.START)


def close_foreign(handles: Handles) -> None:
    """Close every inherited file descriptor that is not for this child; see close_range(2).

    Among them is the lock of the container, which flock(2) ties to the open file and not to a process: held here, it
    would outlive a parent that was killed.
    """
    files.close_all_but([*handles.streams, *handles.kept, *explain.kept, handles.sync.gate, handles.sync.report,
                   handles.trampoline, *handles.handed_over()])  # fmt: skip


def close_inherited(handles: Handles) -> None:
    """Close every fd but 0, 1, 2, those to be kept, and two that execve(2) will close; see close_range(2)."""
    files.close_all_but([*handles.kept, *explain.kept, handles.sync.report, handles.trampoline])


def hide() -> None:
    """Let nobody in the container look into this process: its memory and /proc/1/exe are the host's Python's.

    See PR_SET_DUMPABLE in prctl(2), and CVE-2019-5736 for what happens otherwise. A change of user sets it anew, and
    execve(2) of a program that may be read ends it.
    """
    process.set_dumpable(False)


def die_with_parent(signal: int) -> None:
    """End with *signal* when tinybox ends, however that happens; see PR_SET_PDEATHSIG in prctl(2)."""
    process.set_parent_death_signal(signal)


def live_on() -> None:
    """Outlive tinybox, from now on: what has been made belongs to whoever adopts it; see prctl(2)."""
    process.set_parent_death_signal(0)
