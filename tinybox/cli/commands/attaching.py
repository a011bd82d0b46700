"""`start`, `attach` and `run --sig-proxy=false`: background containers, and the terminals that are attached to them."""

from __future__ import annotations

from tinybox.cli.before_run import warn_of_host_changes
from tinybox.cli.commands.detached import begin, registered
from tinybox.cli.several import each
from tinybox.container import lifecycle, owning
from tinybox.container.monitor import attach, attach_protocol, starting
from tinybox.container.process import detaching, wait_loop
from tinybox.container.records import events, host, naming, state, waking
from tinybox.container.records.paths import Paths
from tinybox.errors import StateError, UsageError
from tinybox.isolation import terminal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def run(image: str, command: list[str], options: dict[str, Any]) -> int:
    """Run a container under a monitor, attached, without passing signals on; return its exit status.

    A signal ends this command with 128+N, and the container goes on, as with docker run --sig-proxy=false.
    """
    detaching.key_bytes(options.get("detach_keys") or detaching.DETACH)
    container = registered(image, command, options, at_once=True)
    keys, interactive = options.get("detach_keys", ""), bool(options["interactive"])
    return begin_attached(container.paths, container, interactive=interactive, keys=keys, proxy=False)


def start(names: tuple[str, ...], *, attached: bool, interactive: bool, keys: str = "") -> int:
    """Start containers; with *attached* or *interactive*, attach to the only one and return its exit status."""
    paths = Paths()
    here = host.read(paths.cache)
    here.check()
    if attached or interactive:
        if len(names) > 1:
            raise UsageError("start -a", "several containers at once cannot be attached to", "name one of them")
        return _start_attached(paths, here, names[0], interactive=interactive, keys=keys)
    return each(names, lambda name: _start(paths, here, name))


def _start(paths: Paths, here: host.Host, name: str) -> None:
    starting.start(paths, here, name, warn_of_host_changes)


def restore(
    names: tuple[str, ...], checkpoint: str, folder: str, *, attached: bool, interactive: bool, keys: str = ""
) -> int:
    """Let one container at rest go on from a *checkpoint*, in *folder* or among its own; return as `start` does."""
    if len(names) > 1:
        raise UsageError("start --checkpoint", "you cannot restore multiple containers at once", "name one of them")
    paths = Paths()
    here = host.read(paths.cache)
    here.check()

    if attached or interactive:
        detaching.key_bytes(keys or detaching.DETACH)
        container = _owned_with_checkpoint(paths, here, names[0], checkpoint, folder)
        return begin_attached(paths, container, interactive=interactive, keys=keys)
    return each(names, lambda name: begin(_owned_with_checkpoint(paths, here, name, checkpoint, folder)))


def _owned_with_checkpoint(
    paths: Paths, here: host.Host, name: str, checkpoint: str, folder: str
) -> lifecycle.Container:
    from tinybox.container import checkpoint as checkpoints

    container = owning.owned(paths, here, name)
    if container is None:
        raise StateError(f"container {name}", "is running: it cannot be restored", f"tinybox stop {name}")
    try:
        checkpoints.resume(container, checkpoint, folder)
    except BaseException:
        container.handles.close()
        container.record.close()
        raise
    return container


def _start_attached(paths: Paths, here: host.Host, name: str, *, interactive: bool, keys: str) -> int:
    detaching.key_bytes(keys or detaching.DETACH)
    container = owning.owned(paths, here, name, terminal.window())
    if container is None:
        return attach_to(name, stdin=interactive, keys=keys)
    return begin_attached(paths, container, interactive=interactive, keys=keys)


def begin_attached(
    paths: Paths, container: lifecycle.Container, *, interactive: bool, keys: str, proxy: bool = True
) -> int:
    """Start a registered container under a monitor, attached from its first byte of output on; return its status."""
    connection, monitor_end = attach_protocol.pair()
    container.emit("attach")
    with wait_loop.Signals() as signals:
        begin(container, monitor_end)
        monitor_end.close()
        inside = bool(container.config["process"].get("terminal"))
        return attach.attend(
            paths, container.id, connection, signals, stdin=interactive, terminal_inside=inside, proxy=proxy, keys=keys
        )


def attach_to(name: str, *, stdin: bool = True, proxy: bool = True, keys: str = "") -> int:
    """Attach to a running container: print its output, pass stdin on to it, and return its exit status."""
    paths = Paths()
    container = naming.find(paths, name)
    now = state.read(paths, container)
    if now["status"] != state.RUNNING:
        raise StateError(f"container {name}", "is not running", f"tinybox start -a {name}")
    try:
        connection = attach_protocol.connect(paths.run_directory(container))
    except OSError as error:
        cause = "runs in the foreground, with --rm and without a terminal of its own"
        raise StateError(f"container {name}", cause, "run it with -d, with -it, or without --rm") from error
    waking.owner_of(now["pid"])
    events.emit(paths, container, "attach", now["annotations"])
    with wait_loop.Signals() as signals:
        inside = bool(now.get("terminal"))
        return attach.attend(
            paths, container, connection, signals, stdin=stdin, terminal_inside=inside, proxy=proxy, keys=keys
        )
