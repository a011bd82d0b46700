"""Containers that live by themselves: run -d, create, start, attach, and what comes back from them."""

from __future__ import annotations

from tinybox.cli.before_run import refuse_audience, say_what_changes
from tinybox.cli.pulling import MISSING, checked, with_image
from tinybox.cli.several import each
from tinybox.container import launch, lifecycle
from tinybox.container.monitor import attach, attach_protocol, background
from tinybox.container.process import wait_loop
from tinybox.container.process.handles import Handles
from tinybox.container.records import host, naming, state, waking
from tinybox.container.records.paths import Paths
from tinybox.errors import StateError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from typing import Any


def run(image: str, command: list[str], options: dict[str, Any]) -> int:
    """Run a container in the background; print its id once its program really runs."""
    container = _registered(image, command, options, at_once=True)
    begin(container)
    print(container.id)
    return 0


def _registered(
    image: str, command: list[str], options: dict[str, Any], *, at_once: bool = False
) -> lifecycle.Container:
    policy = checked(options.get("pull", MISSING))
    return with_image(image, lambda: launch.register(image, command, options, Handles(), at_once=at_once), policy)


def begin(container: lifecycle.Container, guest: _socket.socket | None = None) -> None:
    """Start a registered container under a monitor; one that fails at its first start stays, as docker's does."""
    say_what_changes(container)
    background.launch(container, guest)


def create(image: str, command: list[str], options: dict[str, Any]) -> int:
    """Register a container without starting it; print its id."""
    refuse_audience(options, "create: nothing is done yet")
    container = _registered(image, command, options)
    container.handles.close()
    container.record.close()
    print(container.id)
    return 0


def start(words: tuple[str, ...], *, attached: bool, interactive: bool) -> int:
    """Start containers that are at rest; with *attached*, be the wire of the one and end with its status."""
    paths = Paths()
    here = host.read(paths.cache)
    here.check()
    if attached or interactive:
        if len(words) > 1:
            raise UsageError("start -a", "several containers at once cannot be attached to", "name one of them")
        return _start_attached(paths, here, words[0], interactive=interactive)
    return each(words, lambda word: _start(paths, here, word))


def _start(paths: Paths, here: host.Host, word: str) -> None:
    container = launch.owned(paths, here, word)
    if container is not None:
        begin(container)


def _start_attached(paths: Paths, here: host.Host, word: str, *, interactive: bool) -> int:
    container = launch.owned(paths, here, word)
    if container is None:
        return attach_to(word, stdin=interactive)
    ours, theirs = attach_protocol.pair()
    with wait_loop.Signals() as signals:
        begin(container, theirs)
        theirs.close()
        terminal = bool(container.config["process"].get("terminal"))
        return attach.attend(paths, container.id, ours, signals, stdin=interactive, terminal_inside=terminal)


def attach_to(word: str, *, stdin: bool = True, proxy: bool = True, keys: str = "") -> int:
    """Attach to a running container: its output is ours, our input its; ends with its status."""
    paths = Paths()
    container = naming.find(paths, word)
    now = state.read(paths, container)
    if now["status"] != state.RUNNING:
        raise StateError(f"container {word}", "is not running", f"tinybox start -a {word}")
    try:
        line = attach_protocol.connect(paths.run_directory(container))
    except OSError as error:
        cause = "runs in the foreground of another terminal"
        raise StateError(f"container {word}", cause, "only a container started with -d can be attached to") from error
    waking.owner_of(now["pid"])
    with wait_loop.Signals() as signals:
        terminal = bool(now.get("terminal"))
        return attach.attend(
            paths, container, line, signals, stdin=stdin, terminal_inside=terminal, proxy=proxy, keys=keys
        )
