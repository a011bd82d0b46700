"""Waking stopped processes: a command that waits for another tinybox process sends it SIGCONT if it is stopped.

The owner of a container records its end and releases its resources. An owner that was stopped (SIGSTOP) does neither,
so `stop`, `rm -f`, `wait` and `attach` would wait for ever. They therefore continue it; it then does its work and
records the exit status. An owner that does not go on (it is stopped again and again, or a debugger holds it) is killed
by `stop` and `rm -f`; a sweep then cleans up its container, with an unknown exit status.

Other commands do not need the owner: they use signals, control groups and links on disk.
"""

from __future__ import annotations

import os
import time

from tinybox.container.records import state_file
from tinybox.linux import proc
from tinybox.linux.signals import signal, stopped

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinybox.container.records.paths import Paths

FIRST_CHECK = 0.3  # seconds that a command waits before it searches for stopped processes the first time
LONGEST_PAUSE = 30.0  # seconds between two searches at most
KILL_AFTER = 3.0  # seconds after which an owner is killed that a search continued and a later one finds stopped again
KILL_PAUSE = 2.0  # seconds between two searches at most, when the owner may be killed
_PAUSES, _PART = (0.005, 0.5), 16  # seconds between two looks at a container: a sixteenth of the wait, in these limits


class Wait:
    """One command's wait for a container; from time to time it searches for stopped processes that delay the wait.

    A search reads all of /proc, so the time between two searches doubles, up to LONGEST_PAUSE. With *to_the_end*, an
    owner that was continued and is stopped again after KILL_AFTER is killed; *is_orphan* is then true, and the caller
    has to sweep. The owner is looked at before it is continued: just after SIGCONT, it runs for a moment in any case.
    """

    def __init__(self, paths: Paths, container: str, *, to_the_end: bool = False) -> None:
        self.paths, self.container, self.to_the_end = paths, container, to_the_end
        self.begun, self.next = time.monotonic(), FIRST_CHECK
        self.was_continued = self.is_orphan = False

    def rest(self, seconds: float) -> None:
        """Sleep for *seconds*, then check()."""
        time.sleep(seconds)
        self.check()

    def pause(self) -> float:
        """Return how many seconds the caller may wait until it looks at the container again."""
        least, most = _PAUSES
        return max(least, min((time.monotonic() - self.begun) / _PART, most))

    def left(self, seconds: float | None) -> float:
        """Return how many seconds the caller may wait until the next check(); *seconds* (or None) limit all of it."""
        lasted = time.monotonic() - self.begun
        return max(0.0, (self.next if seconds is None else min(self.next, seconds)) - lasted)

    def check(self) -> float:
        """Continue stopped processes if a search is due; return how many seconds the wait has lasted."""
        lasted = time.monotonic() - self.begun
        if lasted >= self.next:
            self.next = lasted + min(lasted, KILL_PAUSE if self.to_the_end else LONGEST_PAUSE)
            if self.to_the_end and self.was_continued and lasted > KILL_AFTER:
                self.is_orphan = kill_stopped_owner(self.paths, self.container) or self.is_orphan
            self.was_continued = wake_blockers(self.paths, self.container) or self.was_continued
        return lasted


class Owner:
    """The owner of a running container, the parent of its first process *pid*, as a command that waits for it sees it.

    When 200 containers end at once, each owner waits for its turn at the locks that all of them need. So a limit of
    time says nothing alone. An owner gets on as long as it runs now and then, and containers of this store end.
    """

    def __init__(self, paths: Paths, pid: int) -> None:
        first = proc.stat_of(pid) if pid else None
        self._status = f"/proc/{first.ppid}/status" if first is not None else ""
        self._run = paths.run
        self._seen = self._look()

    def _look(self) -> tuple[str, int]:
        """Return how often the owner has waited, and when a container of this store has last begun or ended."""
        try:
            lines = proc.text(self._status).splitlines() if self._status else []
            changed = os.stat(self._run).st_mtime_ns
        except proc.GONE:
            return "", 0
        return "".join(line for line in lines if line.startswith("voluntary_ctxt_switches")), changed

    def gets_on(self) -> bool:
        """Return whether the owner has run, and a container of this store has begun or ended, since the call before."""
        former, self._seen = self._seen, self._look()
        return self._seen[0] not in ("", former[0]) and self._seen[1] != former[1]


def owner_of(pid: int) -> None:
    """Continue the parent of *pid*, which is a container's first process: the parent owns it. This costs two reads."""
    first = proc.stat_of(pid)
    if first is not None:
        stopped.wake(first.ppid)


def wake_blockers(paths: Paths, container: str) -> bool:
    """Continue stopped processes that delay a container's end: holders of its lock, and parents of its processes.

    An `exec` is such a parent: a pid namespace ends only when all of its processes have been reaped. Returns whether
    the owner was stopped, by a signal or by a debugger.
    """
    folder = paths.run_directory(container)
    try:
        was_stopped = stopped.wake_holders(os.stat(os.path.join(folder, "lock")), "Tt")
    except FileNotFoundError:
        return False
    first = state_file.load_if_sound(os.path.join(folder, "state.json"), container).get("pid", 0)
    namespace = stopped.namespace(first) if first else ""
    if namespace and namespace != os.readlink("/proc/self/ns/pid"):
        stopped.wake_parents(namespace)
    return was_stopped


def kill_stopped_owner(paths: Paths, container: str) -> bool:
    """Kill a container's owner if it is still stopped; return whether it was, because a sweep is needed then."""
    try:
        lock = os.stat(os.path.join(paths.run_directory(container), "lock"))
    except FileNotFoundError:
        return False
    return stopped.wake_holders(lock, "Tt", signal.SIGKILL)
