"""The plan runner: it carries out a plan, keeps a list of the steps that are done, and can undo them.

`tinybox run`, `tinybox exec` and the OCI command line all use it: create() does everything except starting the program,
start() starts it, undo() removes everything that was made. If this process is killed, the container's record is left
on disk, and the next command cleans up from there: see sweeping.py.
"""

from __future__ import annotations

from tinybox import explain
from tinybox.container.process import spawn
from tinybox.errors import TinyboxError
from tinybox.linux import proc

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from tinybox.container.process.handles import Handles
    from tinybox.container.process.plan import Plan, Step


class PlanRunner:
    """Carries out one *plan*; *handles* gets the pids and file descriptors that its steps make."""

    def __init__(self, plan: Plan, handles: Handles) -> None:
        self.plan, self.handles = plan, handles
        self.done: list[Step] = []
        self.left: list[str] = []  # errors of failed undo steps: the next command that sweeps has to clean up

    def create(self, seen: Callable[[int], None] | None = None) -> None:
        """Carry out the parent's steps; after them the child has done its own, and waits at the gate for `start`.

        If a listener (--explain, --step) may show the half-made container, *seen* is called with the child's pid.
        """
        for step in self.plan.parent:
            self.done.append(step)
            step.run()
            if explain.listeners and seen and self.handles.pid > 0:
                seen(self.handles.pid)
        self.handles.close_trees()

    def start(self) -> None:
        """Start the program; return when execve(2) has succeeded, or raise an error with the exit status 126 or 127."""
        spawn.start(self.handles)
        self.handles.settle()

    def undo(self) -> None:
        """Kill the child and undo the steps that are done, from the last one to the first.

        An undo needs file descriptors, and this process may have no more of them (EMFILE), so some are closed before.
        """
        spawn.kill(self.handles)
        self.handles.close_spare()
        for step in reversed(self.done):
            if step.undo is not None:
                self.left += filter(None, [attempt(step.undo)])
        self.done.clear()
        self.handles.close()


def start_ticks(pid: int) -> int:
    """Return the start time of process *pid* in clock ticks since boot: both together identify one process for ever.

    ProcessLookupError: there is no such process; see ``starttime`` in proc_pid_stat(5).
    """
    found = proc.stat_of(pid)
    if found is None:
        raise ProcessLookupError(pid)
    return found.starttime


def attempt(act: Callable[[], object]) -> str:
    """Call *act*, which undoes one step; return its error as text, or "", so that the other steps are still undone."""
    try:
        act()
    except (TinyboxError, OSError) as error:
        return str(error)
    return ""
