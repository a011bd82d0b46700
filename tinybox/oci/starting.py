"""The verb start: start the program of a container that `create` has made; see runtime.md of the OCI specification.

The container's first process waits at its gate, a FIFO. `start` writes to the gate, and reads from the report, another
FIFO, whether execve(2) has succeeded.
"""

from __future__ import annotations

from tinybox.container.process import sync_pipe
from tinybox.errors import StateError
from tinybox.oci import groups, record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinybox.container.records.spec_types import Spec
    from tinybox.oci.command_line import CommandLine
    from tinybox.oci.log import Log
    from tinybox.oci.record import Record


def start(command: CommandLine) -> None:
    """Start the program of a created container; the exit status is 126 or 127 if execve(2) refuses it."""
    with record.open_locked(command.root(), command.arguments[0]) as entry:
        release(entry, command.log)


def release(entry: Record, log: Log) -> None:
    """Open the container's gate, and read whether its program was started; StateError: no process waits there."""
    status = entry.status()
    if status == record.RUNNING:
        raise StateError(f"container {entry.id}", "cannot start an already running container")
    if status != record.CREATED:
        raise StateError(f"container {entry.id}", f"cannot start a container that is {status}")
    if groups.is_frozen(entry):
        raise StateError(f"container {entry.id}", "cannot start a container that is paused", "resume it first")
    try:
        gate = sync_pipe.ReopenedSyncPipes(entry.folder)
    except ProcessLookupError as error:
        raise StateError(f"container {entry.id}", "cannot start a container that has just ended") from error
    config = entry.outline()
    try:
        gate.open_gate(sync_pipe.START)
        gate.receive()
        run_hooks(entry, config)
    except BaseException:
        if config.get("hooks"):  # a hook has failed: destroy the container, see "Lifecycle" in runtime.md
            from tinybox.oci import ending

            ending.destroy(entry, log)
        raise
    finally:
        gate.close()


def run_hooks(entry: Record, config: Spec) -> None:
    """Run the poststart hooks of a container whose program has been started; TinyboxError names one that fails."""
    if config.get("hooks", {}).get("poststart"):
        from tinybox.container.process import hooks
        from tinybox.oci import ending

        hooks.run_all(config, "poststart", ending.hook_state(entry, record.RUNNING), entry.state["bundle"])
