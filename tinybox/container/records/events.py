"""The event log ROOT/events.log: what happened to containers and networks, one line of JSON an event.

All tinybox processes append to it, each line by one write(2) with O_APPEND, so lines of several processes never mix. A
full log is renamed by one process: it takes a lock on the file and checks that it still has its name; see flock(2).
"""

from __future__ import annotations

import fcntl
import os
import time

from tinybox.container.records import naming, spec, state
from tinybox.linux import quick_json as json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinybox.container.records.paths import Paths

_APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # no wait for a fifo
LARGEST = 4 << 20  # bytes; a larger log is renamed to events.log.1, and a new one is begun


def emit(
    paths: Paths, container: str, action: str, annotations: dict[str, str] | None = None, **attributes: object
) -> None:
    """Append the event *action* (create, start, die, oom, kill, pause, rename, destroy ...); see docker-events(1).

    The container's *annotations* have its image and its first name; if None, they are read from its state. An event
    that cannot be written (a full disk) is lost; the command goes on.
    """
    if annotations is None:
        annotations = state.last(paths, container).get("annotations", {})
    known = annotations.get(spec.NAME, "")
    try:
        name = next(iter(naming.of(paths, container, hint=known)), known)
    except OSError:  # no free descriptor
        name = known
    more = {key: str(value) for key, value in attributes.items()}
    _append(
        paths, "container", action, container, {"image": annotations.get(spec.IMAGE_NAME, ""), "name": name, **more}
    )


def emit_of_network(paths: Paths, network: str, name: str, action: str, container: str) -> None:
    """Append the event connect or disconnect of *container* with a network; *network* is its id, *name* its name."""
    _append(paths, "network", action, network, {"container": container, "name": name, "type": "bridge"})


def _append(paths: Paths, kind: str, action: str, identity: str, attributes: dict[str, str]) -> None:
    event = {"timeNano": time.time_ns(), "Type": kind, "Action": action, "id": identity, "Attributes": attributes}
    try:
        fd = os.open(paths.events, _APPEND, 0o600)
        try:
            if os.write(fd, json.dumps(event).encode() + b"\n") and os.fstat(fd).st_size > LARGEST:
                _put_aside(paths.events, fd)
        finally:
            os.close(fd)
    except OSError:
        return


def _put_aside(path: str, fd: int) -> None:
    """Rename the full log *fd* to PATH.1, unless another process has just done so: PATH is then a new file."""
    fcntl.flock(fd, fcntl.LOCK_EX)
    if os.path.samestat(os.stat(path), os.fstat(fd)):
        os.rename(path, f"{path}.1")
