"""state.json and the container's lock: the states of a container, the allowed changes of state, and the owner process.

    new --> creating --create--> created --start--> running --end--> stopped --> (creating, or removed)

A process that changes a container must own it: it holds a flock(2) on RUN/ID/lock. The owner of a running container is
the process that watches it (tinybox in the foreground, or the monitor). If another process can take the lock of a
running container, its owner has died. The state.json of a new or stopped container is in its bundle, else in RUN/ID;
a running one has both. Each is replaced as a whole, by rename(2).
"""

from __future__ import annotations

import fcntl
import os
import time

from tinybox import explain
from tinybox.container.records import state_file
from tinybox.errors import DamagedError, StateError
from tinybox.linux.filesystem.locks import share
from tinybox.linux.waiting import until

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinybox.container.records.paths import Paths
    from tinybox.container.records.state_file import State

NEW, CREATING, CREATED, RUNNING, STOPPED = state_file.STATUSES
_MOVES = {
    NEW: (CREATING,),
    CREATING: (CREATED, STOPPED, NEW),
    CREATED: (RUNNING, STOPPED, NEW),
    RUNNING: (STOPPED,),
    STOPPED: (CREATING,),
}
_AT_REST = (NEW, STOPPED)
PATIENCE, PAUSE = 10.0, 0.005  # seconds: how long a command waits for another one, and between two tries
NO_RESTART = "no-restart"  # a file in the run directory: the user has ended the container, do not restart it
RESTART = "restart"  # another file there: `restart` waits for the end of a --rm container; see restart_mark.py
FREEZER = "freezer"  # another file there: why and by which pid the container is frozen; see freezing.py
EXTENDED = "extended"  # another file there: the container has control groups that its owner did not make; see update.py
now = time.time_ns


class Record:
    """One container's state.json and lock, as its owner process reads and writes them."""

    def __init__(self, paths: Paths, container: str, lock: int, state: State | None = None) -> None:
        self.paths, self.id, self._lock = paths, container, lock
        self.state: State = state or {}
        self.passing = False  # removed at its end (--rm in the foreground): only `running` is written

    def bind(self) -> None:
        """Record that the container ends with its owner, by a mode bit of the lock (works on a full disk).

        See lifecycle._reap().
        """
        os.fchmod(self._lock, 0o700)

    def is_bound(self) -> bool:
        """Return whether the container ends with its owner; false if the owner only reads or copies its files."""
        return bool(self.state or os.fstat(self._lock).st_mode & 0o100)

    def begin(self) -> None:
        """Change the state to ``creating``. No file is written: a run directory without state.json means this state."""
        self._check(CREATING)
        self.state["status"] = CREATING
        self._report(CREATING)

    def show(self, pid: int, ticks: int) -> None:
        """Write the pid of the container's first process once, so that `tinybox ns` and others see it half-made."""
        if self.state.get("pid") != pid:
            self.state.update({"pid": pid, "startTicks": ticks})
            state_file.write(_in_run(self.paths, self.id), self.state)

    def _report(self, status: str) -> None:
        if explain.listeners:
            explain.report(f"state:{status}", (self.id,), None)

    def _check(self, status: str) -> None:
        former = self.state.get("status")
        if former is not None and status != former and status not in _MOVES[former]:
            raise StateError(f"container {self.id[:12]}", f"is {former}: it cannot become {status}")

    def write(self, **changes: object) -> None:
        """Update the state with *changes* and replace state.json as a whole; StateError if that is not allowed."""
        former = self.state.get("status")
        status = str(changes.get("status", former))
        self._check(status)
        self.state.update(changes)  # type: ignore[typeddict-item]
        if self.passing and status != RUNNING:
            self._report(status)
            return
        running, kept = _in_run(self.paths, self.id), _in_store(self.paths, self.id)
        if status not in _AT_REST:
            state_file.write(running, self.state)
        if status in (RUNNING, *_AT_REST) and not self.passing:  # RUNNING too: after a reboot, only the store is left
            state_file.write(kept, self.state)
        if status in _AT_REST and former not in (None, *_AT_REST):
            state_file.discard(running)
        self._report(status)

    def hand_over(self) -> None:
        """Close the lock and leave the run directory: a child that has inherited the lock (the monitor) keeps it.

        flock(2) ends when the last process has closed it. Without a child, a later command can take the lock.
        """
        if self._lock >= 0:
            os.close(self._lock)
        self._lock = -1

    def close(self) -> None:
        """Release the container: remove the files of its run directory, the lock as the last one; see flock(2)."""
        if self._lock < 0:
            return
        folder = self.paths.run_directory(self.id)
        for name in sorted(os.listdir(folder), key="lock".__eq__):
            state_file.discard(os.path.join(folder, name))
        remove_empty(folder)
        os.close(self._lock)
        self._lock = -1


def lock(paths: Paths, container: str, *, damaged_too: bool = False, new: bool = False) -> Record:
    """Become the owner of a container; StateError if it runs, or if another command owns it for more than 10 s.

    DamagedError: its state.json is damaged. With *damaged_too* the record has then no state. A *new* container has none
    yet; another command may own it, if that sweeps at this moment.
    """
    deadline, waits = time.monotonic() + PATIENCE, None
    while True:
        folder = paths.run_directory(container)
        try:
            _make(paths, folder)
            lock = _lock(os.path.join(folder, "lock"), make=True)
        except BlockingIOError as error:
            cause, for_long = _occupation(paths, container)
            if for_long or time.monotonic() > deadline:
                raise StateError(f"container {container[:12]}", cause, "stop it first, or wait for it") from error
            from tinybox.container.records import waking  # most commands need not wait

            (waits := waits or waking.Wait(paths, container)).rest(PAUSE)
            continue
        if lock is not None:
            record = Record(paths, container, lock)
            return record if new else _owned(record, damaged_too=damaged_too)


def _make(paths: Paths, folder: str) -> None:
    """Make the run directory *folder*; it may be there: another command owns the container, or was killed; mkdir(2)."""
    try:
        os.mkdir(folder, 0o700)
    except FileExistsError:
        return
    except FileNotFoundError:  # the directory below /run is gone after a reboot
        paths.prepare(again=True)
        os.makedirs(folder, 0o700, exist_ok=True)


def _owned(record: Record, *, damaged_too: bool) -> Record:
    """Read the state in the store into *record*, or release the record and raise DamagedError."""
    try:
        record.state = stored(record.paths, record.id) or {}
    except BaseException as error:
        if not damaged_too or not isinstance(error, DamagedError):
            record.close()
            raise
    return record


def _occupation(paths: Paths, container: str) -> tuple[str, bool]:
    """Return why another process owns the container, as text, and whether that will last."""
    now = seen(paths, container)
    kept = state_file.load_if_sound(_in_store(paths, container), container)
    if now.get("status") == RUNNING:
        return "is running", True
    if kept.get("restarting"):
        return "is about to be started again by its restart policy", True
    return "is in use by another command", False


def inherit(paths: Paths, container: str) -> Record | None:
    """Become the owner of a container whose owner has died; None if the owner is alive, or the container is gone."""
    folder = paths.run_directory(container)
    try:
        lock = _lock(os.path.join(folder, "lock"), make=False)
    except BlockingIOError:
        return None
    if lock is None:
        # Another command may have made them while the owner removed the files of the directory.
        for name in (NO_RESTART, RESTART, FREEZER, EXTENDED):
            state_file.discard(os.path.join(folder, name))
        remove_empty(folder)  # its owner was killed before it had made the lock, or after it had removed it
        return None
    return Record(paths, container, lock, seen(paths, container))


def _lock(path: str, *, make: bool) -> int | None:
    """Lock the file at *path*, return its fd; None if the file is removed; BlockingIOError if it is locked: flock(2).

    *make* is for a command that wants to own the container. A sweep must not make the file: it could bring it back
    while its owner removes it.
    """
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if make else 0), 0o600)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        raise
    if os.fstat(fd).st_nlink == 0:
        os.close(fd)
        return None
    return fd


def wait_for_owner(paths: Paths, container: str, seconds: float) -> bool:
    """Wait until no process owns the container (a shared lock succeeds); False after *seconds*; see flock(2)."""
    try:
        fd = os.open(os.path.join(paths.run_directory(container), "lock"), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    try:
        return until(lambda: share(fd), time.monotonic() + seconds, max(seconds, PAUSE))
    finally:
        os.close(fd)


def read(paths: Paths, container: str) -> State:
    """Return a container's state.json from its run directory, else from its bundle; StateError if it has none.

    If the container is started between these two reads, only the bundle's is found, and `running` there looks like the
    state after a reboot. So both are then read again. DamagedError: see state_file.py.
    """
    state = _read(paths, container)
    if state is not None and state["status"] == STOPPED and state.get("exitCode") is None:
        state = _read(paths, container)
    if state is None:
        raise StateError(f"container {container[:12]}", "no such container", "tinybox ps -a lists them")
    return state


def read_at_rest(paths: Paths, container: str) -> State:
    """Do the same for a container that had no run directory a moment ago: one file is read, that in its bundle.

    If it has been started since then, that file says so, and both are read.
    """
    state = state_file.load(_in_store(paths, container), container)
    return state if state is not None and state["status"] in _AT_REST else read(paths, container)


def _read(paths: Paths, container: str) -> State | None:
    return state_file.load(_in_run(paths, container), container) or stored(paths, container)


def seen(paths: Paths, container: str) -> State:
    """Return the state.json in a container's run directory; an empty one if it has none there, or it is damaged."""
    return state_file.load_if_sound(_in_run(paths, container), container)


def last(paths: Paths, container: str) -> State:
    """Return the state in the run directory, or else in the bundle; an empty one if neither is there and sound."""
    return seen(paths, container) or state_file.load_if_sound(_in_store(paths, container), container)


def stored(paths: Paths, container: str) -> State | None:
    """Return the state.json in the container's bundle, or None; DamagedError: see state_file.py.

    If the status there is `running`, the owner did not see the end, as after a reboot: it then counts as stopped, with
    an unknown exit status (None).
    """
    state = state_file.load(_in_store(paths, container), container)
    if state is not None and state["status"] not in _AT_REST:
        state.update({"status": STOPPED, "pid": 0, "exitCode": None})
    return state


def _in_run(paths: Paths, container: str) -> str:
    return os.path.join(paths.run_directory(container), "state.json")


def _in_store(paths: Paths, container: str) -> str:
    return os.path.join(paths.bundle(container), "state.json")


def remove_empty(folder: str) -> None:
    """Remove a directory if it is empty; do nothing if it is gone or has files again; see rmdir(2)."""
    try:
        os.rmdir(folder)
    except OSError:
        return
