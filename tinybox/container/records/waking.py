"""Waking: a command that waits for another process of ours continues it, where somebody has stopped it (SIGSTOP).

The owner of a container writes down its end and takes back what it had; a stopped one does neither, and `stop`,
`rm -f`, `wait` and `attach` would wait in vain. Continued, it does all of that itself, and knows the exit status. One
that stays stopped (somebody stops it again and again, or a debugger holds it) is ended by `stop` and `rm -f`: a sweep
then buries its container, whose status nobody saw.

No other command needs the owner: signals, control groups and names are the kernel's.
"""

from __future__ import annotations

import os
import time

from tinybox.linux import proc, stopped
from tinybox.linux import quick_json as json
from tinybox.linux.signals import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinybox.container.records.paths import Paths

FIRST_LOOK = 0.3  # seconds that a command waits before it looks whether somebody is stopped; then ever more rarely
RARELY = 30.0  # seconds between two looks at most
LAST_LOOK = 3.0  # seconds after which one that is stopped all the same is ended


class Wait:
    """One command's wait for a container, in which it looks now and then whether somebody stopped holds that up.

    A look goes through all of /proc, so each comes after twice the time of the one before, at most RARELY apart. With
    *to_the_end* one that is stopped all the same is ended after LAST_LOOK; it *is_orphan* then: it is to be buried.
    """

    def __init__(self, paths: Paths, container: str, *, to_the_end: bool = False) -> None:
        self.paths, self.container, self.to_the_end = paths, container, to_the_end
        self.begun, self.next = time.monotonic(), FIRST_LOOK
        self.is_orphan = False

    def rest(self, seconds: float) -> None:
        """Wait for so many *seconds*, and look."""
        time.sleep(seconds)
        self.look()

    def left(self, seconds: float | None) -> float:
        """Return how long to wait for something until the next look, of *seconds* in all."""
        lasted = time.monotonic() - self.begun
        return max(0.0, (self.next if seconds is None else min(self.next, seconds)) - lasted)

    def look(self) -> float:
        """Continue stopped processes, if it is time to look; return how many seconds the wait has lasted."""
        lasted = time.monotonic() - self.begun
        if lasted >= self.next:
            self.next = lasted + min(lasted, RARELY)
            whoever_holds_up(self.paths, self.container)
            if self.to_the_end and lasted > LAST_LOOK:
                self.is_orphan = end_the_stopped(self.paths, self.container) or self.is_orphan
        return lasted


def owner_of(pid: int) -> None:
    """Continue the owner of the container whose first process is *pid*: its parent. This costs two short reads."""
    first = proc.stat_of(pid)
    if first is not None:
        stopped.wake(first.ppid)


def whoever_holds_up(paths: Paths, container: str) -> None:
    """Continue those whose stop keeps a container from its end: its owner, or a command that is at work on it.

    Or one that has made a process in it (`exec`): a pid namespace ends when the last of its processes has been reaped.
    """
    folder = paths.run_directory(container)
    try:
        stopped.wake_holders(os.stat(os.path.join(folder, "lock")))
    except FileNotFoundError:
        return
    first = (json.read_object(os.path.join(folder, "state.json")) or {}).get("pid", 0)
    room = stopped.namespace(first) if first else ""
    if room and room != os.readlink("/proc/self/ns/pid"):
        stopped.wake_parents(room)


def end_the_stopped(paths: Paths, container: str) -> bool:
    """Kill an owner that is stopped all the same, and tell whether there was one: its container is to be buried."""
    try:
        lock = os.stat(os.path.join(paths.run_directory(container), "lock"))
    except FileNotFoundError:
        return False
    return stopped.wake_holders(lock, "Tt", signal.SIGKILL)
