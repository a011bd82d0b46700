"""The boxes of a lab: made, joined and ended by the functions that `tinybox run` and `exec` use.

The process of the lab owns its boxes, as `run` in the foreground does, and reads their /proc on the host.
If it is killed, its boxes are killed, too, and the next command of tinybox removes what is left of them.
"""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from tinybox.container import execute, launch, lifecycle, python_options
from tinybox.container.process import init, wait_loop
from tinybox.container.process.handles import Handles
from tinybox.container.records import spec
from tinybox.container.running import running
from tinybox.errors import TinyboxError
from tinybox.lab import inside, look
from tinybox.lab.guest import PATIENCE, Done, Guest

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from tinybox.container.lifecycle import Container
    from tinybox.container.process.wait_loop import WaitLoop


class Box(Guest):
    """One running box; *pid* is the host's number of its first process, which is its init or the program itself."""

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
        """Return the host's path to the file *inner* of the box; see /proc/PID/root in proc(5)."""
        return f"/proc/{self.pid}/root{inner}"

    def start(self, *command: Any, **options: Any) -> Guest:
        """Start another program or function in the box, with its arguments, as `tinybox exec` does."""
        guest, arguments, function = Guest(), *_split_command(command)
        handles = Handles((guest.stdin, guest.stdout, guest.stdout))
        with running(self.container.paths, self.id) as target:
            joining = execute.Execution(self.container.paths, self.container.host, target, arguments, options, handles)
        if function is not None:
            inside.end_in(joining.plan, function, command[1:])
        joining.start()
        guest.pid, guest.pidfd, guest.master = handles.pid, handles.pidfd, handles.master
        handles.pidfd = handles.master = -1  # the guest owns them now
        handles.close()
        guest.hand_over()
        self.guests.append(guest)
        return guest

    def run(self, *command: Any, **options: Any) -> Done:
        """Run another program in the box to its end; return its exit status and what it printed."""
        guest = self.start(*command, **options)
        guest.close_stdin()
        printed = guest.read_all()
        return Done(guest.wait(), printed)

    def wait(self, seconds: float = PATIENCE) -> int:
        """Wait until the box has ended, and return its exit status as `tinybox run` would; TimeoutError if it is late.

        The wait loop is that of `run`, so an out-of-memory kill is noticed, too. Ctrl-C ends the box and the lab.
        """
        if self.ending is None:
            stopped: list[str] = []

            def end(why: str) -> None:
                stopped.append(why)
                self.container.cgroup.kill()

            with wait_loop.Signals() as signals:

                def add_events(loop: WaitLoop) -> None:
                    loop.after(seconds, lambda: end("late"))
                    loop.listen(signals.fd, lambda: end("Ctrl-C") if signals.pending() else None)
                    loop.until_the_end()

                self.ending = wait_loop.watch(self.container, signals, add_events)
            if stopped == ["late"]:
                raise TimeoutError(f"the box has not ended in {seconds:.0f} s")
            if stopped:
                raise KeyboardInterrupt
        return self.ending.status

    def end(self) -> None:
        """End all processes of the box and remove it; its guests first, because the lab is their parent."""
        try:
            for guest in self.guests:
                guest.end()
            lifecycle.stop(self.container, self.ending or wait_loop.Ending(128 + signal.SIGKILL))
        except BaseException as error:
            lifecycle.abandon(self.container, error)
            raise
        finally:
            lifecycle.close(self.container)
            self.close()


def _split_command(command: tuple[Any, ...]) -> tuple[list[str], Any]:
    """Return the arguments for the engine, and the function that *command* begins with (None for a program)."""
    if callable(command[0]):
        return [f"lab:{command[0].__name__}"], command[0]
    return [str(argument) for argument in command], None


def start(
    image: str,
    command: tuple[Any, ...],
    options: dict[str, Any],
    adapt: Callable[[Container], None] | None = None,
) -> Box:
    """Make a box of *image* and start *command* in it, as lifecycle.run() does, but without its wait loop.

    *adapt*, if given, is called with the container before it is made.
    """
    box, arguments, function = Box(), *_split_command(command)
    handles = Handles((box.stdin, box.stdout, box.stdout))
    try:
        box.container = launch.register(image, arguments, python_options.normal(options), handles, passing=True)
        try:
            if function is not None:
                inside.end_in(box.container.plan, function, command[1:])
            if adapt is not None:
                adapt(box.container)
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
