"""Namespaces of other containers (``container:NAME``): find them again at each start.

config.json names such a namespace by the PID 1 of the other container, which has another number after each start. An
annotation has the id of the other container. `create` also takes one that does not run; it must run at the start.
"""

from __future__ import annotations

from tinybox.container.config.networking import ETC
from tinybox.container.config.request import NAMESPACES
from tinybox.container.records import naming, spec, state
from tinybox.errors import StateError
from tinybox.linux import quick_json as json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from tinybox.container.records.paths import Paths
    from tinybox.container.records.spec_types import Spec

# The mounts that come with a namespace: their sources are in the root of the other container
_MOUNTS = {**dict.fromkeys(ETC, "network"), "/dev/shm": "ipc"}
RESTING = 0  # in place of the pid of a container that does not run


def pid_of(paths: Paths, word: str, *, may_rest: bool = False) -> int:
    """Return the host's pid of PID 1 of the container that *word* names.

    If it does not run: RESTING if it *may_rest*, else StateError.
    """
    found = state.read(paths, naming.find(paths, word))
    if found.get("status") == state.RUNNING:
        pid: int = found["pid"]
        return pid
    if may_rest:
        return RESTING
    raise StateError(f"container {word}", "is not running", "only a running container has namespaces")


def note(paths: Paths, modes: Mapping[str, str], config: Spec) -> None:
    """Put the ids of the containers that *modes* name into an annotation of *config*, by the kind of namespace."""
    words = {NAMESPACES[key]: mode.partition("container:")[2] for key, mode in modes.items()}
    found = {kind: naming.find(paths, word) for kind, word in words.items() if word}
    if found:
        config["annotations"][spec.JOINED] = json.dumps(found)


def note_users(paths: Paths, config: Spec) -> None:
    """Give *config* the id maps of the container whose user namespace it joins, inside the home of a user."""
    other: dict[str, str] = json.loads(config["annotations"].get(spec.JOINED) or "{}")
    maps = spec.id_maps(spec.load(paths.bundle(other["user"])))
    maps.pop("lines", None)
    spec.set_id_maps(config, maps)


def refresh(paths: Paths, config: Spec) -> Spec:
    """Return *config* with the present pids of the containers that it names; StateError: one of them does not run."""
    others: dict[str, str] = json.loads(config.get("annotations", {}).get(spec.JOINED) or "{}")
    pids = {kind: pid_of(paths, container) for kind, container in others.items()}
    for namespace in config["linux"]["namespaces"] if pids else ():
        if namespace["type"] in pids and namespace.get("path"):
            namespace["path"] = _moved(namespace["path"], pids[namespace["type"]])
    for entry in config.get("mounts", ()) if pids else ():
        kind = _MOUNTS.get(entry["destination"], "")
        if kind in pids and entry.get("source", "").startswith("/proc/"):
            entry["source"] = _moved(entry["source"], pids[kind])
    return config


def _moved(path: str, pid: int) -> str:
    """Return *path*, ``/proc/PID/...``, with another *pid*."""
    _, proc, _, *rest = path.split("/")
    return "/".join(["", proc, str(pid), *rest])
