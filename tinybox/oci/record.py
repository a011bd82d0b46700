"""Where an OCI container is written down: ROOT/ID, a directory that a command locks while it acts on the container.

    ROOT/ID/state.json   what was asked for, and which process it is
    ROOT/ID/config.json  as it was at `create`; what changes in the bundle later means nothing
    ROOT/ID/gate report  the pipes of container/process/sync_pipe.py

Nobody watches over such a container, its engine does. So what it does now is not written down but seen: a process that
holds its gate open waits to be started, one in a frozen group is paused, one that is a zombie has stopped.
"""

from __future__ import annotations

import os
import time

from tinybox.container.process.sync_pipe import ReopenedSyncPipes
from tinybox.container.records import spec, state
from tinybox.errors import HostError, StateError, UsageError
from tinybox.linux import files, ownership, proc
from tinybox.linux import quick_json as json
from tinybox.linux.locks import lock_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Self

    from tinybox.container.records.spec import Spec

CACHE = ".cache"  # beside the containers, whose ids begin with no dot: compiled filters
ID_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-.")
CREATING, CREATED, RUNNING, STOPPED = state.CREATING, state.CREATED, state.RUNNING, state.STOPPED
PAUSED = "paused"  # not a word of the specification's, which allows more; engines know it


class Record:
    """One container's directory, locked as long as this is entered; see flock(2)."""

    def __init__(self, root: str, container: str, lock: int) -> None:
        self.root, self.id, self._lock = root, container, lock
        self.folder = os.path.join(root, container)
        self.state: dict[str, Any] = json.read_object(os.path.join(self.folder, "state.json")) or {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def release(self) -> None:
        """Give the lock back: from now on this is only to be read."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    @property
    def cache(self) -> str:
        """Where compiled filters are kept."""
        return os.path.join(self.root, CACHE)

    def config(self) -> Spec:
        """Return the container's config.json, as it was when the container was made."""
        return spec.load(self.folder)

    def write(self, **changes: object) -> None:
        """Change the state and write it, whole or not at all."""
        self.state.update(changes)
        state.write(os.path.join(self.folder, "state.json"), self.state)  # type: ignore[arg-type]

    def remove(self) -> None:
        """Remove the directory: the id is free again."""
        files.remove_tree(self.folder)

    def status(self) -> str:
        """Return what the container does now, without `paused`, which its control group knows."""
        if "pid" not in self.state:
            return CREATING
        if not proc.is_alive(self.state["pid"], self.state["startTicks"]):
            return STOPPED
        try:
            ReopenedSyncPipes(self.folder).close()
        except ProcessLookupError:
            return RUNNING
        return CREATED

    def open_process(self) -> int:
        """Return a pidfd of the first process; ProcessLookupError if it has ended. See pidfd_open(2)."""
        pidfd = os.pidfd_open(self.state["pid"])
        if proc.is_alive(self.state["pid"], self.state["startTicks"]):
            return pidfd
        os.close(pidfd)
        raise ProcessLookupError


def make(root: str, container: str) -> Record:
    """Take an id, and return its record, locked; StateError: it is taken."""
    _check(root, container)
    folder = os.path.join(root, container)
    try:
        os.makedirs(root, 0o700, exist_ok=True)
        ownership.check(root)
        os.mkdir(folder, 0o700)
    except OSError as error:
        if isinstance(error, FileExistsError) and os.path.isdir(root):
            raise StateError(f"container {container}", "container with given ID already exists") from error
        raise unusable(root, error) from error
    return find(root, container)


def find(root: str, container: str) -> Record:
    """Return the record of a container that is there, when no other command is at work on it; else StateError."""
    _check(root, container)
    folder = os.path.join(root, container)
    try:
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise missing(container) from error
    except OSError as error:
        raise unusable(root, error) from error
    lock_file(lock)
    try:
        same = os.path.samestat(os.stat(folder), os.fstat(lock))
    except FileNotFoundError:
        same = False
    if not same:  # removed while we waited
        os.close(lock)
        raise missing(container)
    return Record(root, container, lock)


def look(root: str, container: str) -> Record:
    """Return the record of a container without waiting for whoever is at work on it; to be read only."""
    _check(root, container)
    try:
        return Record(root, container, os.open(os.path.join(root, container), os.O_PATH | os.O_CLOEXEC))
    except FileNotFoundError as error:
        raise missing(container) from error
    except OSError as error:
        raise unusable(root, error) from error


def ids(root: str) -> list[str]:
    """List the containers below *root*."""
    try:
        return sorted(name for name in os.listdir(root) if not name.startswith("."))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise unusable(root, error) from error


def unusable(root: str, error: OSError) -> HostError:
    """Return the error that nothing can be kept in *root*: it is another user's, read-only, or no directory."""
    cause = "is no directory" if isinstance(error, FileExistsError) else (error.strerror or str(error)).lower()
    return HostError(f"--root {root}", cause, "run it as root" if os.geteuid() else "name a directory on a disk")


def missing(container: str) -> StateError:
    """Return the error that there is no such container, in the words that engines look for."""
    return StateError(f"container {container}", "container does not exist")


def now() -> str:
    """Return the time as RFC 3339 has it, in nanoseconds."""
    seconds, rest = divmod(time.time_ns(), 10**9)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{rest:09}Z"


def _check(root: str, container: str) -> None:
    """Refuse what is no id, and a *root* that another user can have filled: hooks in it would run as root."""
    if not container or container.startswith(".") or not set(container) <= ID_LETTERS:
        raise UsageError(f"container {container!r}", "is no id", "letters, digits, and _ + - .")
    ownership.check(root)
