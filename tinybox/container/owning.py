"""Become the owner of a container at rest: `start`, restart policies and compose begin with that."""

from __future__ import annotations

from tinybox.container import lifecycle
from tinybox.container.config import joined
from tinybox.container.process.handles import Handles
from tinybox.container.records import naming, spec, state
from tinybox.errors import NoSuchError, StateError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinybox.container.records import host
    from tinybox.container.records.paths import Paths


def owned(paths: Paths, here: host.Host, word: str, window: tuple[int, int] = (0, 0)) -> lifecycle.Container | None:
    """Become the owner of the container at rest that *word* names, and return it; None if it runs already.

    *window* is the (rows, columns) of the terminal that will be attached to it, if there is one.
    """
    container = naming.find(paths, word)
    try:
        record = lifecycle.acquire(paths, here, container)
    except StateError:
        if state.read(paths, container)["status"] == state.RUNNING:
            return None
        raise
    if not record.state:
        record.close()
        raise NoSuchError(f"container {word}", "no such container", "another command has just removed it")
    handles = Handles()
    handles.window = window
    try:
        config = joined.refresh(paths, spec.load(paths.bundle(container)))
        found = lifecycle.Container(paths, container, config, here, handles)
    except BaseException:
        handles.close()
        record.close()
        raise
    found.record = record
    record.bind()
    return found
