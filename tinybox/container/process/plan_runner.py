"""A birth: a plan while it is carried out. What has been done of it is known at any moment, and can be taken back.

`tinybox run`, `tinybox exec` and the OCI command line all go this way: create() does everything short of the program,
start() lets it begin, undo() leaves nothing of it.
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
    """One *plan* and its *handles* parts, on the way from nothing to a running program."""

    def __init__(self, plan: Plan, handles: Handles) -> None:
        self.plan, self.handles = plan, handles
        self.done: list[Step] = []
        self.left: list[
            str
        ] = []  # what could not be undone: the command that finds the container's record has to do it

    def create(self, seen: Callable[[int], None] | None = None) -> None:
        """Walk the parent's steps: after them the child has done its own, and waits for the word to start.

        Where somebody listens, and may look at what is half-made, *seen* is called with the child's pid.
        """
        for step in self.plan.parent:
            self.done.append(step)
            step.run()
            if explain.listeners and seen and self.handles.pid > 0:
                seen(self.handles.pid)
        self.handles.close_trees()

    def start(self) -> None:
        """Let the program begin; returns when execve(2) has succeeded, raises 126 or 127 when it has not."""
        spawn.start(self.handles)

    def undo(self) -> None:
        """Undo what has not begun to run, from the last step made back to the first.

        To undo takes file descriptors, and they may have run out (EMFILE): so ours are closed before.
        """
        spawn.kill(self.handles)
        self.handles.close_spare()
        for step in reversed(self.done):
            if step.undo is not None:
                self.left += filter(None, [attempt(step.undo)])
        self.done.clear()
        self.handles.close()


def start_ticks(pid: int) -> int:
    """Return when process *pid* began, in clock ticks since the boot: with it a pid means one process for ever.

    ProcessLookupError: there is none; see ``starttime`` in proc_pid_stat(5).
    """
    found = proc.stat_of(pid)
    if found is None:
        raise ProcessLookupError(pid)
    return found.starttime


def attempt(act: Callable[[], object]) -> str:
    """Undo one step; what cannot be undone does not keep the rest from being undone: what is wrong is returned."""
    try:
        act()
    except (TinyboxError, OSError) as error:
        return str(error)
    return ""
