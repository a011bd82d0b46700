"""A box in the hands of a lab: made, joined and ended by the functions that `tinybox run` and `exec` use.

The lab is the owner of its boxes, in the foreground, as `run` is: it looks at them from the host while they live.
"""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from tinybox.container import control, execute, launch, lifecycle
from tinybox.container.process import init, wait_loop
from tinybox.container.process.handles import Handles
from tinybox.container.records import spec
from tinybox.errors import TinyboxError
from tinybox.lab import inside, look
from tinybox.lab.guest import PATIENCE, Done, Guest

if TYPE_CHECKING:
    from typing import Any

    from tinybox.container.lifecycle import Container
    from tinybox.container.process.wait_loop import WaitLoop


class Box(Guest):
    """One box that runs; *pid* is the host's number of its first process, which is its init or the program itself."""

    def __init__(self) -> None:
        super().__init__()
        self.container: Container
        self.guests: list[Guest] = []
        self.ending: wait_loop.Ending | None = None

    @property
    def id(self) -> str:
        """Return the container's id."""
        return self.container.id

    @property
    def program(self) -> int:
        """Return the host's number of the program: the first child of the box's init, or the first process itself."""
        if self.container.annotations.get(spec.INIT, init.NONE) == init.NONE:
            return self.pid
        children = look.children(self.pid)
        if not children:
            raise TinyboxError("the box's program", "has ended")
        return children[0]

    def path(self, inner: str) -> str:
        """Return where the host sees the file *inner* of the box; see /proc/PID/root in proc(5)."""
        return f"/proc/{self.pid}/root{inner}"

    def start(self, *command: Any, **options: Any) -> Guest:
        """Start another program in the box, words or a function with its arguments, as `tinybox exec` does."""
        guest, words, function = Guest(), *_meant(command)
        handles = Handles((guest.stdin, guest.stdout, guest.stdout))
        with control.running(self.container.paths, self.id) as target:
            joining = execute.Execution(self.container.paths, self.container.host, target, words, options, handles)
        if function is not None:
            inside.end_in(joining.plan, function, command[1:])
        joining.start()
        guest.pid, guest.pidfd, guest.master = handles.pid, handles.pidfd, handles.master
        handles.pidfd = handles.master = -1  # they are the guest's now
        handles.close()
        guest.hand_over()
        self.guests.append(guest)
        return guest

    def run(self, *command: Any, **options: Any) -> Done:
        """Run another program in the box to its end."""
        guest = self.start(*command, **options)
        guest.hang_up()
        printed = guest.rest()
        return Done(guest.wait(), printed)

    def wait(self, seconds: float = PATIENCE) -> int:
        """Wait until the box has ended, at most so long, and return its exit status as `tinybox run` would.

        It is watched as `run` watches it: for memory, too. Ctrl-C ends it, and the lab.
        """
        if self.ending is None:
            stopped: list[str] = []

            def end(why: str) -> None:
                stopped.append(why)
                self.container.cgroup.kill()

            with wait_loop.Signals() as signals:

                def wire(watching: WaitLoop) -> None:
                    watching.after(seconds, lambda: end("late"))
                    watching.listen(signals.fd, lambda: end("Ctrl-C") if signals.pending() else None)
                    watching.until_the_end()

                self.ending = wait_loop.watch(self.container, signals, wire)
            if stopped == ["late"]:
                raise TimeoutError(f"the box has not ended in {seconds:.0f} s")
            if stopped:
                raise KeyboardInterrupt
        return self.ending.status

    def end(self) -> None:
        """End whatever runs in it, and take back all that it had. Its guests first: their parent is here, not there."""
        for guest in self.guests:
            guest.end()
        lifecycle.stop(self.container, self.ending or wait_loop.Ending(128 + signal.SIGKILL))
        lifecycle.close(self.container)
        self.close()


def _meant(command: tuple[Any, ...]) -> tuple[list[str], Any]:
    """Return the words of *command*, and the function that it begins with, if it does."""
    if callable(command[0]):
        return [f"lab:{command[0].__name__}"], command[0]
    return [str(word) for word in command], None


def start(image: str, command: tuple[Any, ...], options: dict[str, Any]) -> Box:
    """Make a box of *image* and start *command* in it, by the steps of lifecycle.run() up to its watching."""
    box, words, function = Box(), *_meant(command)
    handles = Handles((box.stdin, box.stdout, box.stdout))
    try:
        box.container = launch.register(image, words, launch.normal(options), handles, passing=True)
        try:
            if function is not None:
                inside.end_in(box.container.plan, function, command[1:])
            lifecycle.create(box.container)
            lifecycle.start(box.container)
        except BaseException:
            box.container.runner.undo()
            lifecycle.discard(box.container)
            raise
    except BaseException:
        box.close()
        raise
    box.pid, box.pidfd = handles.pid, handles.pidfd
    box.hand_over()
    return box
