"""start and restart: give a container at rest to a new monitor, as docker-start(1) and docker-restart(1) do."""

from __future__ import annotations

from tinybox.container import control, owning
from tinybox.container.monitor import background
from tinybox.container.records import events, naming
from tinybox.container.records.restart_mark import RestartMark

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from tinybox.container.lifecycle import Container
    from tinybox.container.records.host import Host
    from tinybox.container.records.paths import Paths


def start(paths: Paths, here: Host, word: str, before: Callable[[Container], None] = lambda _: None) -> bool:
    """Start the container at rest that *word* names; return False if it runs already.

    *before* is called with it before its program starts. Raises NoSuchError, and what prevented the start.
    """
    container = owning.owned(paths, here, word)
    if container is None:
        return False
    before(container)
    background.launch(container)
    return True


def restart(
    paths: Paths,
    here: Host,
    word: str,
    seconds: float | None = None,
    signal_word: str = "",
    before: Callable[[Container], None] = lambda _: None,
) -> None:
    """Stop the container that *word* names as control.stop() does, and start it again; with ``--rm``, too."""
    with RestartMark(paths, naming.find(paths, word)):
        control.stop(paths, word, seconds, signal_word)
    start(paths, here, word, before)
    events.emit(paths, naming.find(paths, word), "restart")
