"""state.json as a file: the fields that it may have, read with a check of each, and replaced as a whole; rename(2).

The file may have been damaged: by a repair of the file system, by an editor, by a crash of the host. A command that
needs the state then names the container. A command that lists containers names it and lists the others. `rm`
removes it, `cp` and `export` save its files: they need no state. No command takes it for a container without a state,
which is one that a killed command has left half-made, and which is removed.
"""

from __future__ import annotations

from tinybox.container.records import spec
from tinybox.errors import DamagedError, StateError
from tinybox.linux import quick_json as json
from tinybox.linux.filesystem import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypedDict

    class State(TypedDict, total=False):
        """state.json: OCI's ``state`` object, and the fields that docker's commands need; times in ns since 1970."""

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


STATUSES = NEW, CREATING, CREATED, RUNNING, STOPPED = "new", "creating", "created", "running", "stopped"
PIDS = range(1 << 22)  # the most that the kernel gives: pid_max in proc_sys_kernel(5)
_TIMES = range(1 << 63)  # in nanoseconds since 1970
_CHECK: dict[str, Any] = {"Start!": _TIMES, "End!": _TIMES, "ExitCode": json.INT64, "Output": str}  # of a health check
SHAPE: dict[str, Any] = {  # see quick_json.misfit
    "id!": str,
    "status!": STATUSES,
    "pid": PIDS,
    "annotations!": {"*": str},
    "command": [str],
    "exitCode": range(-1, 256),
    **dict.fromkeys("createdAt startTicks startedAt finishedAt restarts".split(), _TIMES),
    **dict.fromkeys("terminal oomKilled restarting".split(), bool),
    **dict.fromkeys("ociVersion bundle error".split(), str),
    "health": {"Status": str, "FailingStreak": json.INT64, "Log": [_CHECK]},
}
_WITH_PROCESS: dict[str, Any] = {"pid!": PIDS, "startTicks!": json.INT64}  # while it has a first process


def load(path: str, container: str) -> State | None:
    """Return the state in the file *path*; None: there is no such file; DamagedError, which names *container*."""
    try:
        state: State | None = json.read_own(path, SHAPE)
        wrong = "" if state is None else _wrong(state, container)
    except ValueError as error:
        wrong = str(error)
    if wrong:
        raise damaged(container[:12], wrong)
    if state is not None and state["status"] == STOPPED:
        state.setdefault("exitCode", None)  # it was null, because its owner was killed: the exit status is unknown
    return state


def load_if_sound(path: str, container: str) -> State:
    """Return the state in the file *path*; an empty one if there is no such file, or it is damaged."""
    try:
        return load(path, container) or {}
    except DamagedError:
        return {}


def damaged(name: str, wrong: str) -> DamagedError:
    """Return the DamagedError for the container *name*: *wrong* is the part of its state.json that cannot be used."""
    cure = f"tinybox export {name} saves its files, rm -f {name} removes it"
    return DamagedError(f"container {name}", f"its state.json is damaged: {wrong}", cure)


def _wrong(state: State, container: str) -> str:
    """Return what is wrong with *state*, or "". A state of another container would have commands kill that one."""
    if state["id"] != container:
        return "id is that of another container"
    if state["status"] in (CREATED, RUNNING) and (wrong := json.misfit(state, _WITH_PROCESS)):
        return wrong
    return spec.misfit_of_annotations(state["annotations"])


def write(path: str, state: State) -> None:
    """Replace the file *path* with *state* as a whole; if that fails (full disk), the former file stays: rename(2)."""
    data = json.dumps(state).encode()
    try:
        try:
            files.replace(path, data)
        except IsADirectoryError:  # not tinybox has made a directory of that name
            files.remove_tree(path)
            files.replace(path, data)
    except OSError as error:
        raise StateError(path, f"cannot be written: {error.strerror}", "make room, then try again") from error


def discard(path: str) -> None:
    """Remove a file of a run directory, or a directory that another program has put in its place."""
    try:
        files.discard(path)
    except IsADirectoryError:
        files.remove_tree(path)
