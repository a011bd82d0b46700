"""Which states a container goes through, which moves are allowed, and where on disk it is written down.

    creating --create--> created --start--> running --end--> stopped --delete--> (gone)

Two directories a container. RUN/ID exists while it lives: `lock`, held by flock(2) for as long as the process that
watches over it lives, and `state.json`. STORE/containers/ID is its bundle: config.json, the writable layer, and after
its end the last state.json. Whoever can take the lock of a living container knows that its watcher has died.
"""

from __future__ import annotations

import fcntl
import json
import os
import time

from tinybox import explain
from tinybox.container import spec
from tinybox.errors import StateError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypedDict

    class State(TypedDict, total=False):
        """state.json: OCI's ``state`` object and what docker's words need beside it; times in ns since 1970."""

        ociVersion: str
        id: str
        status: str
        pid: int
        bundle: str
        annotations: dict[str, str]
        name: str
        startTicks: int
        startedAt: int
        finishedAt: int
        exitCode: int | None
        oomKilled: bool
        error: str


CREATING, CREATED, RUNNING, STOPPED = "creating", "created", "running", "stopped"
_MOVES = {
    CREATING: (CREATED, STOPPED),
    CREATED: (RUNNING, STOPPED),
    RUNNING: (STOPPED,),
    STOPPED: (),
}
DEFAULT_ROOT, DEFAULT_RUN = "/var/lib/tinybox", "/run/tinybox"


class Home:
    """Where everything lies: *root*, the store; *run*, what is alive."""

    def __init__(self, root: str = "") -> None:
        self.root = os.path.abspath(root or os.environ.get("TINYBOX_ROOT") or DEFAULT_ROOT)
        self.run = DEFAULT_RUN if self.root == DEFAULT_ROOT else os.path.join(self.root, "run")
        self.containers = os.path.join(self.root, "containers")
        self.names = os.path.join(self.root, "container-names")
        self.cache = os.path.join(self.root, "cache")

    def bundle(self, container: str) -> str:
        """Return the directory of this container's bundle."""
        return os.path.join(self.containers, container)

    def live(self, container: str) -> str:
        """Return the directory that this container has while it lives."""
        return os.path.join(self.run, container)

    def prepare(self) -> None:
        """Make the directories; a box in a user namespace must be able to pass through the store's (0711)."""
        for path, mode in ((self.root, 0o711), (self.containers, 0o711), (self.run, 0o700), (self.names, 0o700)):
            try:
                os.mkdir(path, mode)
            except FileExistsError:
                continue
            except FileNotFoundError:
                os.makedirs(path, mode)

    def living(self) -> list[str]:
        """Return the ids of all containers that have, or whose dead watcher has left, a directory under *run*."""
        try:
            return [entry.name for entry in os.scandir(self.run) if entry.is_dir(follow_symlinks=False)]
        except FileNotFoundError:
            return []


class Record:
    """One container's state on disk, for its owner: the process that holds its lock."""

    def __init__(self, home: Home, container: str, lock: int) -> None:
        self.home, self.id, self._lock = home, container, lock
        self.state: State = {}

    def write(self, **changes: object) -> None:
        """Change the state and write it, whole or not at all; a move that is not allowed is a StateError."""
        status = changes.get("status", self.state.get("status"))
        former = self.state.get("status")
        if former is not None and status != former and status not in _MOVES[former]:
            raise StateError(f"container {self.id[:12]}", f"is {former}: it cannot become {status}")
        self.state.update(changes)  # type: ignore[typeddict-item]
        folder = self.home.bundle(self.id) if status == STOPPED else self.home.live(self.id)
        _write(os.path.join(folder, "state.json"), self.state)
        if explain.listeners:
            explain.tell(f"state:{status}", (self.id,), None)

    def close(self) -> None:
        """Remove what the container has while it lives, the lock last; see flock(2)."""
        if self._lock < 0:
            return
        folder, link = self.home.live(self.id), os.path.join(self.home.run, self.state.get("name", "") or self.id)
        if _target(link) == self.id:
            _forget(link)
        for name in os.listdir(folder):
            if name != "lock":
                os.unlink(os.path.join(folder, name))
        os.unlink(os.path.join(folder, "lock"))
        _remove_empty(folder)
        os.close(self._lock)
        self._lock = -1


def own(home: Home, container: str) -> Record:
    """Become the owner of a new container: make its live directory and lock it, against a sweep at the same moment."""
    while True:
        folder = home.live(container)
        os.makedirs(folder, 0o700, exist_ok=True)
        lock = _lock(os.path.join(folder, "lock"), wait=True)
        if lock is not None:
            return Record(home, container, lock)


def inherit(home: Home, container: str) -> Record | None:
    """Become the owner of a container whose owner has died; None if that one lives, or all has gone meanwhile."""
    lock = _lock(os.path.join(home.live(container), "lock"), wait=False)
    if lock is None:
        _remove_empty(home.live(container))  # its owner died before it had made the lock, or after removing it
        return None
    record = Record(home, container, lock)
    record.state = _read(os.path.join(home.live(container), "state.json")) or {}
    return record


def _lock(path: str, *, wait: bool) -> int | None:
    """Take the lock file at *path*; None if another holds it, or has removed it while we waited; see flock(2).

    Only the owner, who waits for it, makes it: else a sweep could bring it back while its owner removes it.
    """
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if wait else 0), 0o600)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    if os.fstat(fd).st_nlink == 0:
        os.close(fd)
        return None
    return fd


def reserve_name(home: Home, name: str, container: str) -> None:
    """Take *name* for *container*, a link made in one step; StateError if another container has it; see symlink(2)."""
    link = os.path.join(home.names, name)
    while True:
        try:
            os.symlink(container, link)
        except FileExistsError as error:
            other = _target(link)
            if other and (os.path.exists(home.bundle(other)) or os.path.exists(home.live(other))):
                cause = f'is already in use by container "{other[:12]}"'
                raise StateError(
                    f'the container name "{name}"', cause, f"tinybox rm {name}, or another --name"
                ) from error
            _forget(link)
        else:
            return


def release_name(home: Home, name: str, container: str) -> None:
    """Give *name* back, if it is this container's; see unlink(2)."""
    for link in (os.path.join(home.names, name), os.path.join(home.run, name)):
        if _target(link) == container:
            _forget(link)


def show_name(home: Home, name: str, container: str) -> None:
    """Let people find the live directory by *name*: RUN/NAME is a link to RUN/ID while the container lives."""
    link = os.path.join(home.run, name)
    _forget(link)
    os.symlink(container, link)


def find(home: Home, word: str) -> str:
    """Return the id of the container that *word* means: a name, an id, or the beginning of one; else StateError."""
    named = _target(os.path.join(home.names, word)) if "/" not in word else ""
    if named and (os.path.isdir(home.bundle(named)) or os.path.isdir(home.live(named))):
        return named
    found = [container for container in every(home) if word and container.startswith(word)]
    if len(found) == 1:
        return found[0]
    cause = "more than one id begins so" if found else "no such container"
    raise StateError(f"container {word}", cause, "tinybox ps -a lists them")


def every(home: Home) -> list[str]:
    """Return the ids of all containers, living or stopped."""
    try:
        stored = os.listdir(home.containers)
    except FileNotFoundError:
        stored = []
    return sorted({*stored, *home.living()})


def read(home: Home, container: str) -> State:
    """Return a container's state as it is on disk; one that the store knows but nobody watched is stopped, unknown."""
    for folder in (home.live(container), home.bundle(container)):
        state = _read(os.path.join(folder, "state.json"))
        if state:
            return state
    try:
        config = spec.load(home.bundle(container))
    except Exception as error:
        raise StateError(f"container {container[:12]}", "no such container", "tinybox ps -a lists them") from error
    annotations = config.get("annotations", {})
    return {
        "ociVersion": spec.OCI_VERSION,
        "id": container,
        "status": STOPPED,
        "bundle": home.bundle(container),
        "annotations": annotations,
        "name": annotations.get(spec.NAME, ""),
        "exitCode": None,
    }


def now() -> int:
    """Return the time in nanoseconds since 1970."""
    return time.time_ns()


def _write(path: str, state: State) -> None:
    with open(path + ".new", "w", encoding="utf-8") as file:
        file.write(json.dumps(state))
    os.rename(path + ".new", path)


def _read(path: str) -> State | None:
    try:
        with open(path, encoding="utf-8") as file:
            state: State = json.load(file)
    except (FileNotFoundError, ValueError):
        return None
    return state


def _target(link: str) -> str:
    try:
        return os.readlink(link)
    except OSError:
        return ""


def _forget(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return


def _remove_empty(folder: str) -> None:
    """Remove an empty directory; one that is gone, or in use after all, is left to others; see rmdir(2)."""
    try:
        os.rmdir(folder)
    except OSError:
        return


def remove_tree(path: str) -> None:
    """Remove a directory and all below it, following no link; what is gone already is fine. See unlinkat(2)."""
    try:
        for _, folders, names, fd in os.fwalk(path, topdown=False, follow_symlinks=False):
            for name in names:
                os.unlink(name, dir_fd=fd)
            for name in folders:
                _remove_folder(name, fd)
        os.rmdir(path)
    except FileNotFoundError:
        return


def _remove_folder(name: str, fd: int) -> None:
    try:
        os.rmdir(name, dir_fd=fd)
    except NotADirectoryError:  # a link to a directory counts as one on the walk
        os.unlink(name, dir_fd=fd)
