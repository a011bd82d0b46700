"""Which states a container goes through, which moves are allowed, and how they are written down.

    new --> creating --create--> created --start--> running --end--> stopped --> (creating, or gone)

Whoever changes a container owns it: he holds RUN/ID/lock by flock(2). The owner of a running container is the process
that watches over it; so who can take that lock knows that the watcher has died. While a container is new or stopped
its state.json lies in its bundle, else in RUN/ID; each is written whole, by rename(2).
"""

from __future__ import annotations

import fcntl
import os
import time

from tinybox import explain
from tinybox.container.records.naming import discard
from tinybox.errors import StateError
from tinybox.linux import files
from tinybox.linux import quick_json as json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypedDict

    from tinybox.container.records.paths import Paths

    class State(TypedDict, total=False):
        """state.json: OCI's ``state`` object and what docker's words need beside it; times in ns since 1970."""

        ociVersion: str
        id: str
        status: str
        pid: int
        bundle: str
        annotations: dict[str, str]
        command: list[str]
        terminal: bool
        createdAt: int
        startTicks: int
        startedAt: int
        finishedAt: int
        exitCode: int | None
        oomKilled: bool
        error: str
        restarts: int
        restarting: bool
        health: dict[str, object]


NEW, CREATING, CREATED, RUNNING, STOPPED = "new", "creating", "created", "running", "stopped"
_MOVES = {
    NEW: (CREATING,),
    CREATING: (CREATED, STOPPED, NEW),
    CREATED: (RUNNING, STOPPED, NEW),
    RUNNING: (STOPPED,),
    STOPPED: (CREATING,),
}
_AT_REST = (NEW, STOPPED)
PATIENCE, PAUSE = 10.0, 0.005  # seconds: how long a command waits for another one, and between two looks
NO_RESTART = "no-restart"  # a file in the live directory: the end that comes now was asked for
FREEZER = "freezer"  # another: the command that freezes the container, and its reason; see freezing.py
now = time.time_ns


class Record:
    """One container's state on disk, in the hands of its owner."""

    def __init__(self, paths: Paths, container: str, lock: int, state: State | None = None) -> None:
        self.paths, self.id, self._lock = paths, container, lock
        self.state: State = state or {}
        self.passing = False  # it goes with its end: only that it is there, and runs, is written down

    def bind(self) -> None:
        """Note, in a mode, which needs no room, that the container ends when we do: see lifecycle._bury."""
        os.fchmod(self._lock, 0o700)

    def is_bound(self) -> bool:
        """Tell whether the container lives, or lived, by its owner, and was not only looked at."""
        return bool(self.state or os.fstat(self._lock).st_mode & 0o100)

    def begin(self) -> None:
        """Move to ``creating``: a live directory without a state.json says so already."""
        self._check(CREATING)
        self.state["status"] = CREATING
        self._tell(CREATING)

    def show(self, pid: int, ticks: int) -> None:
        """Write down whose process it will be, once, so that others can look at the container while it is half-made."""
        if self.state.get("pid") != pid:
            self.state.update({"pid": pid, "startTicks": ticks})
            write(os.path.join(self.paths.run_directory(self.id), "state.json"), self.state)

    def _tell(self, status: str) -> None:
        if explain.listeners:
            explain.tell(f"state:{status}", (self.id,), None)

    def _check(self, status: str) -> None:
        former = self.state.get("status")
        if former is not None and status != former and status not in _MOVES[former]:
            raise StateError(f"container {self.id[:12]}", f"is {former}: it cannot become {status}")

    def write(self, **changes: object) -> None:
        """Change the state and write it, whole or not at all; a move that is not allowed is a StateError."""
        former = self.state.get("status")
        status = str(changes.get("status", former))
        self._check(status)
        self.state.update(changes)  # type: ignore[typeddict-item]
        if self.passing and status not in (CREATED, RUNNING):
            self._tell(status)
            return
        alive, kept = (
            os.path.join(folder(self.id), "state.json") for folder in (self.paths.run_directory, self.paths.bundle)
        )
        if status not in _AT_REST:
            write(alive, self.state)
        if status in (RUNNING, *_AT_REST) and not self.passing:  # that it ran must be known after a reboot, too
            write(kept, self.state)
        if status in _AT_REST and former not in (None, *_AT_REST):
            discard(alive)
        self._tell(status)

    def hand_over(self) -> None:
        """Leave all as it is, and close the lock: a child that has inherited it has it yet, else a later command may.

        flock(2) holds until the last of both has closed it.
        """
        if self._lock >= 0:
            os.close(self._lock)
        self._lock = -1

    def close(self) -> None:
        """Own it no longer: remove what the container has while it is owned, the lock last; see flock(2)."""
        if self._lock < 0:
            return
        folder = self.paths.run_directory(self.id)
        for name in sorted(os.listdir(folder), key="lock".__eq__):
            os.unlink(os.path.join(folder, name))
        remove_empty(folder)
        os.close(self._lock)
        self._lock = -1


def lock(paths: Paths, container: str) -> Record:
    """Become the owner of a container; StateError if it runs. Another command at work on it is waited for, a while."""
    deadline, waits = time.monotonic() + PATIENCE, None
    paths.prepare()  # what is under /run does not outlive a boot
    while True:
        folder = paths.run_directory(container)
        try:
            os.makedirs(folder, 0o700, exist_ok=True)
            lock = _lock(os.path.join(folder, "lock"), make=True)
        except FileExistsError:
            continue  # it was there, and its former owner has just removed it
        except BlockingIOError as error:
            cause, for_long = _occupation(paths, container)
            if for_long or time.monotonic() > deadline:
                raise StateError(f"container {container[:12]}", cause, "stop it first, or wait for it") from error
            from tinybox.container.records import waking  # most commands need not wait

            (waits := waits or waking.Wait(paths, container)).rest(PAUSE)
            continue
        if lock is not None:
            return Record(paths, container, lock, stored(paths, container))


def _occupation(paths: Paths, container: str) -> tuple[str, bool]:
    """Say what becomes of a container that somebody owns, and whether it stays so."""
    alive = json.read_object(os.path.join(paths.run_directory(container), "state.json")) or {}
    kept = json.read_object(os.path.join(paths.bundle(container), "state.json")) or {}
    if alive.get("status") == RUNNING:
        return "is running", True
    if kept.get("restarting"):
        return "is about to be started again by its restart policy", True
    return "is in the hands of another command", False


def inherit(paths: Paths, container: str) -> Record | None:
    """Become the owner of a container whose owner has died; None if that one lives, or all has gone meanwhile."""
    folder = paths.run_directory(container)
    try:
        lock = _lock(os.path.join(folder, "lock"), make=False)
    except BlockingIOError:
        return None
    if lock is None:
        for name in (NO_RESTART, FREEZER):  # left by a command that came just when its owner went
            discard(os.path.join(folder, name))
        remove_empty(folder)  # its owner died before it had made the lock, or after removing it
        return None
    return Record(paths, container, lock, json.read_object(os.path.join(folder, "state.json")))


def _lock(path: str, *, make: bool) -> int | None:
    """Take the lock file at *path*; None if it is gone or goes meanwhile; BlockingIOError if another has it: flock(2).

    Only who wants to own the container makes the file: else a sweep could bring it back while its owner removes it.
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
    """Wait until nobody owns the container any more: its lock can be shared; False after *seconds*; see flock(2)."""
    try:
        fd = os.open(os.path.join(paths.run_directory(container), "lock"), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    deadline = time.monotonic() + seconds
    try:
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    return False
                time.sleep(PAUSE)
            else:
                return True
    finally:
        os.close(fd)


def read(paths: Paths, container: str) -> State:
    """Return a container's state as it is on disk: of the living, else of the stored; StateError if there is none.

    Between the two looks it may have begun to run: then the store alone says so, as after a reboot. So look again.
    """
    state = _look(paths, container)
    if state is not None and state.get("status") == STOPPED and state.get("exitCode") is None:
        state = _look(paths, container)
    if state is None:
        raise StateError(f"container {container[:12]}", "no such container", "tinybox ps -a lists them")
    return state


def _look(paths: Paths, container: str) -> State | None:
    return json.read_object(os.path.join(paths.run_directory(container), "state.json")) or stored(paths, container)


def stored(paths: Paths, container: str) -> State | None:
    """Return the state in the container's bundle. If it says that the container runs, nobody saw its end.

    So it is after a reboot, which takes all that is alive and leaves the store: stopped, with an unknown exit status.
    """
    state: State | None = json.read_object(os.path.join(paths.bundle(container), "state.json"))
    if state is not None and state.get("status") not in _AT_REST:
        state.update({"status": STOPPED, "pid": 0, "exitCode": None})
    return state


def write(path: str, state: State) -> None:
    """Write *state* to *path*, whole or not at all; on a full disk the former state stays; see rename(2)."""
    try:
        files.replace(path, json.dumps(state).encode())
    except OSError as error:
        raise StateError(path, f"cannot be written: {error.strerror}", "make room, then try again") from error


def remove_empty(folder: str) -> None:
    """Remove an empty directory; one that is gone, or in use after all, is left to others; see rmdir(2)."""
    try:
        os.rmdir(folder)
    except OSError:
        return
