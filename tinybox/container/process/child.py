"""The child's side of a start: after clone3(2) it carries out its steps and becomes the program; it never returns.

From clone3(2) on, this process is the container's first process. It imports nothing, because the parent has loaded and
decided everything that it needs. It reports errors to the parent over a pipe, never on the user's terminal.
"""

from __future__ import annotations

import fcntl
import os

from tinybox import explain
from tinybox.container.process import sync_pipe
from tinybox.isolation import namespaces
from tinybox.linux import process
from tinybox.linux.filesystem import descriptors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from tinybox.container.process.handles import Handles
    from tinybox.container.process.plan import Step
    from tinybox.isolation.cgroups.group import Cgroup

NAME = b"tinybox:child"
PROGRAM_FAILED = 125
_FIONCLEX = 0x5450


def become(steps: list[Step], handles: Handles) -> NoReturn:
    """Carry out the child's *steps*, whose last one executes the program; on an error, report it and exit with 125."""
    try:
        process.set_name(NAME)
        for step in steps:
            step.run()
    except BaseException as error:  # noqa: BLE001  every kind of error must be reported to the parent
        handles.sync.send_error(error)
    os._exit(PROGRAM_FAILED)


def wait_for_parent(handles: Handles) -> None:
    """Wait until the parent has written this process's id maps, and has set what only a parent can set."""
    handles.sync.wait(sync_pipe.GO)


def join_cgroups(cgroup: Cgroup, handles: Handles) -> None:
    """Join the control groups that clone3(2) could not reach, those of version 1: the parent has opened their files.

    This process has one thread, which is all that a write to such a file moves; what it makes later is born there.
    """
    cgroup.enter(handles.tasks)


def make_time_namespace(handles: Handles) -> None:
    """Move to a new time namespace, of which the parent sets the clocks; see time_namespaces(7).

    Root of a user namespace may not write into its own /proc/self, because this process is not dumpable.
    """
    namespaces.make_time_namespace()
    handles.sync.send(sync_pipe.CLOCKS)
    handles.sync.wait(sync_pipe.ON)
    namespaces.join_made_time_namespace()


def report_ready(handles: Handles) -> None:
    """Report to the parent that everything except the program is ready, and wait until it sends `start`."""
    handles.sync.send(sync_pipe.READY)
    handles.sync.wait(sync_pipe.START)


def hand_over_terminal(handles: Handles) -> None:
    """Wait until the parent has copied the master of the terminal by pidfd_getfd(2), and close it; see pts(4)."""
    handles.sync.send(sync_pipe.TERMINAL, str(handles.master).encode())
    handles.sync.wait(sync_pipe.ON)
    os.close(handles.master)
    handles.master = -1


def close_foreign(handles: Handles) -> None:
    """Close every inherited file descriptor that this child does not need; see close_range(2).

    One of them is the container's lock. A flock(2) belongs to the open file and not to a process: if this child kept
    it open, the container would stay locked after the parent was killed.
    """
    descriptors.close_all_but([*handles.streams, *handles.kept, *explain.kept, handles.sync.gate, handles.sync.report,
                   handles.trampoline, *handles.handed_over()])  # fmt: skip


def close_inherited(handles: Handles) -> None:
    """Close every fd except 0, 1, 2, those for the program, and those to wait for `start`; see close_range(2).

    A process of `exec` keeps those of its control groups, too: its second process will join them.

    Let the trampoline inherit the report, on which it reports an error; it sets close-on-exec again.
    """
    sync = handles.sync
    needed = [*handles.kept, *explain.kept, *handles.tasks, sync.gate, sync.report, handles.trampoline]
    descriptors.close_all_but(needed)
    if handles.trampoline >= 0:
        fcntl.ioctl(sync.report, _FIONCLEX)


def close_gate(handles: Handles) -> None:
    """Close the gate, at which this process has waited for `start`; see close(2)."""
    os.close(handles.sync.gate)


def hide() -> None:
    """Make this process not dumpable: its memory and /proc/1/exe are those of the host's Python.

    Processes in the container can then not read or trace it: PR_SET_DUMPABLE in prctl(2). CVE-2019-5736 shows what
    happens otherwise. A change of the user id resets this attribute; execve(2) of a readable program makes the process
    dumpable again.
    """
    process.set_dumpable(False)


def die_with_parent(signal: int) -> None:
    """Get *signal* when the parent, tinybox, ends for any reason; see PR_SET_PDEATHSIG in prctl(2)."""
    process.set_parent_death_signal(signal)


def outlive_parent() -> None:
    """Go on when tinybox ends: the process that adopts this one is responsible for it from then on; see prctl(2)."""
    process.set_parent_death_signal(0)
