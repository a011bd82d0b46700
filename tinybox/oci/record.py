"""The record of an OCI container on disk: the directory ROOT/ID; a command locks it while it acts on the container.

    ROOT/ID/state.json   the bundle, the annotations, the control groups, and the pid of the first process;
                         and an outline of config.json: what `start`, `state`, `kill` and `delete` need of it
    ROOT/ID/config.json  a copy from `create`; later changes in the bundle have no effect
    ROOT/ID/gate report  the pipes of container/process/sync_pipe.py

No process of tinybox watches such a container; its engine does. So the current status is not stored, but read each
time: a process that holds its gate open is created, one in a frozen group is paused, a zombie has stopped. If a command
is killed, the kernel releases its lock, and `delete` removes what the record names.
"""

from __future__ import annotations

import os
import time

from tinybox.errors import DamagedError, HostError, StateError, UsageError
from tinybox.linux import proc
from tinybox.linux import quick_json as json
from tinybox.linux.filesystem import own_files, ownership

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Self

    from tinybox.container.records.spec_types import Spec

CACHE = ".cache"  # beside the containers, whose ids begin with no dot: compiled filters
ID_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-.")
CREATING, CREATED, RUNNING, STOPPED = "creating", "created", "running", "stopped"
OCI_VERSION = "1.1.0"  # of a container whose `create` was killed before it had written its state
SIGNALLED = (CREATED, RUNNING)  # a signal reaches a container with this status
GATE = "gate"  # sync_pipe.GATE, of a module that `state` does not load
_OUTLINE = ("namespaces", "cgroupsPath", "intelRdt")  # of the section linux
_HOOK: dict[str, Any] = {"path!": str, "args": [str], "env": [str], "timeout": json.INT64}
SHAPE: dict[str, Any] = {  # see quick_json.misfit
    "pid": range(1 << 22),  # the most that the kernel gives: pid_max in proc_sys_kernel(5)
    "startTicks": json.INT64,
    "annotations": {"*": str},
    "groups": [str],
    "below": {"*": str},
    "keyring": bool,
    "outline": {
        "root!": {"path!": str},
        "linux!": {"namespaces": [{"type!": str, "path": str}], "cgroupsPath": str},
        "hooks": {"*": [_HOOK]},
    },
    **dict.fromkeys(("ociVersion", "id", "bundle!", "created"), str),
}
PAUSED = "paused"  # not a status of the specification, which allows more; engines know it


class Record:
    """One container's directory, locked until the end of its `with` block; see flock(2)."""

    def __init__(self, root: str, container: str, lock: int) -> None:
        self.root, self.id, self._lock = root, container, lock
        self.folder = os.path.join(root, container)
        self.state: dict[str, Any] = {}
        self.damage = ""  # the fault of its state.json, as text; `delete --force` removes such a container
        try:
            self.state = json.read_own(os.path.join(self.folder, "state.json"), SHAPE) or {}
        except ValueError as error:
            self.damage = str(error)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def checked(self) -> Self:
        """Return this record; if its state.json is damaged, release it and raise DamagedError."""
        if not self.damage:
            return self
        self.release()
        cause, cure = f"its state.json is damaged: {self.damage}", f"delete --force {self.id} removes it"
        raise DamagedError(f"container {self.id}", cause, cure)

    def release(self) -> None:
        """Release the lock; from now on the record may only be read."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    @property
    def cache(self) -> str:
        """The directory of compiled seccomp filters."""
        return os.path.join(self.root, CACHE)

    def config(self) -> Spec:
        """Return the container's config.json, as it was when the container was made."""
        from tinybox.container.records import spec

        return spec.load(self.folder)

    def outline(self) -> Spec:
        """Return the part of config.json that is in state.json, see `outline`; of a former tinybox, all of it."""
        found: Spec | None = self.state.get("outline")
        return self.config() if found is None else found

    def write(self, **changes: object) -> None:
        """Change the state and write state.json, whole or not at all."""
        path = os.path.join(self.folder, "state.json")
        self.state.update(changes)
        try:
            own_files.replace(path, json.dumps(self.state).encode())
        except OSError as error:
            raise StateError(path, f"cannot be written: {error.strerror}", "make room, then try again") from error

    def remove(self) -> None:
        """Remove the directory: the id is free again."""
        try:
            for name in ("state.json", "config.json", GATE, "report"):
                os.unlink(os.path.join(self.folder, name))
            os.rmdir(self.folder)
        except OSError:  # a killed command has made only some of them, or left a draft
            from tinybox.linux.filesystem import files

            files.remove_tree(self.folder)

    def status(self) -> str:
        """Return the current status, but never `paused`, which only the control group shows."""
        if "pid" not in self.state:
            return CREATING
        if not proc.is_alive(self.state["pid"], self.state["startTicks"]):
            return STOPPED
        return CREATED if self._waits_at_gate() else RUNNING

    def _waits_at_gate(self) -> bool:
        """Return whether a process has the gate open for reading: else this open(2) fails with ENXIO; see fifo(7)."""
        try:
            os.close(os.open(os.path.join(self.folder, GATE), os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC))
        except OSError:
            return False
        return True

    def open_process(self) -> int:
        """Return a pidfd of the first process; ProcessLookupError if it has ended. See pidfd_open(2)."""
        pidfd = os.pidfd_open(self.state["pid"])
        if proc.is_alive(self.state["pid"], self.state["startTicks"]):
            return pidfd
        os.close(pidfd)
        raise ProcessLookupError


def outline(config: Spec) -> Spec:
    """Return the part of *config* that the verbs after `create` need, so that they need not read config.json.

    Its seccomp profile and its mounts alone may be a thousand lines.
    """
    linux = config.get("linux", {})
    found: Spec = {"root": {"path": config["root"]["path"]}}
    found["linux"] = {key: linux[key] for key in _OUTLINE if key in linux}  # type: ignore[literal-required,typeddict-item]
    if config.get("hooks"):
        found["hooks"] = config["hooks"]
    return found


def make(root: str, container: str) -> Record:
    """Make the record of a new container, and return it locked; StateError: the id exists already."""
    folder = os.path.join(root, container)
    try:
        if not _check(root, container):
            os.makedirs(root, 0o700, exist_ok=True)
            ownership.check(root)
        os.mkdir(folder, 0o700)
    except OSError as error:
        if isinstance(error, FileExistsError) and os.path.isdir(root):
            raise StateError(f"container {container}", "container with given ID already exists") from error
        raise unusable(root, error) from error
    return _locked(root, container)


def open_locked(root: str, container: str, *, damaged_too: bool = False) -> Record:
    """Wait for the lock of an existing container, and return its record; StateError: it does not exist.

    DamagedError: its state.json is damaged; with *damaged_too* the record then has no state.
    """
    _check(root, container)
    entry = _locked(root, container)
    return entry if damaged_too else entry.checked()


def _locked(root: str, container: str) -> Record:
    folder = os.path.join(root, container)
    try:
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise missing(container) from error
    except OSError as error:
        raise unusable(root, error) from error
    from tinybox.linux.filesystem.locks import lock_file

    lock_file(lock)
    try:
        same = os.path.samestat(os.stat(folder), os.fstat(lock))
    except FileNotFoundError:
        same = False
    if not same:  # removed while this command waited
        os.close(lock)
        raise missing(container)
    return Record(root, container, lock)


def open_unlocked(root: str, container: str) -> Record:
    """Return the record of a container without its lock, only for reading; StateError: it does not exist."""
    _check(root, container)
    try:
        return Record(root, container, os.open(os.path.join(root, container), os.O_PATH | os.O_CLOEXEC)).checked()
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
    """Return the HostError that *root* cannot be used: it is another user's, read-only, or no directory."""
    cause = "is no directory" if isinstance(error, FileExistsError) else (error.strerror or str(error)).lower()
    return HostError(f"--root {root}", cause, "run it as root" if os.geteuid() else "name a directory on a disk")


def missing(container: str) -> StateError:
    """Return the StateError that there is no such container, with the text that engines search for."""
    return StateError(f"container {container}", "container does not exist")


def now() -> str:
    """Return the current time in the form of RFC 3339, with nanoseconds."""
    seconds, rest = divmod(time.time_ns(), 10**9)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{rest:09}Z"


def _check(root: str, container: str) -> bool:
    """Return whether the directory *root* exists; refuse it if another user could have written it, or an invalid id.

    Hooks that another user has written would run as root.
    """
    if not container or container.startswith(".") or not set(container) <= ID_LETTERS:
        raise UsageError(f"container {container!r}", "is no id", "letters, digits, and _ + - .")
    return ownership.check(root)
