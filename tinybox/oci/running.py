"""The verb run: create and start a container in one process, wait for its end, and delete it."""

from __future__ import annotations

from tinybox.container.process import wait_loop
from tinybox.errors import StateError
from tinybox.oci import creation, ending, record, starting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from tinybox.oci.command_line import CommandLine
    from tinybox.oci.creation import Creation
    from tinybox.oci.log import Log
    from tinybox.oci.record import Record


def run(command: CommandLine, adapt: Callable[[Creation], None] = lambda _: None) -> int:
    """Create and start a container; in the foreground, wait for its end, delete it, and return its exit status."""
    with wait_loop.Signals() as signals:
        made = creation.make(command, adapt)
        try:
            made.runner.start()
            starting.run_hooks(made.entry, made.config)
        except BaseException:
            ending.destroy(made.entry, command.log)
            raise
        if "detach" in command.flags:
            return 0
        made.entry.release()  # while the container runs, other commands may act on it
        try:
            status = wait_loop.watch(made, signals).status
        except BaseException:
            remove(made.entry, command.log)
            raise
        if "keep" not in command.flags:
            remove(made.entry, command.log)
        wait_loop.write_rest(made.handles, signals)
        return status


def remove(former: Record, log: Log) -> None:
    """Delete the container of a `run` that has ended, unless another command has deleted it."""
    try:
        entry = record.open_locked(former.root, former.id)
    except StateError:
        return
    with entry:
        if entry.state.get("created") == former.state["created"]:
            ending.destroy(entry, log)
