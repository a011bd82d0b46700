"""The verbs pause and resume: freeze and thaw every process of a container, by its control group."""

from __future__ import annotations

from tinybox.errors import StateError
from tinybox.oci import groups, record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinybox.oci.command_line import CommandLine
    from tinybox.oci.record import Record


def pause(command: CommandLine) -> None:
    """Freeze every process of a container; see cgroup.freeze in cgroups(7)."""
    with record.open_locked(command.root(), command.arguments[0]) as entry:
        check_alive(entry)
        groups.of(entry).freeze()


def resume(command: CommandLine) -> None:
    """Thaw a frozen container; StateError: it is not frozen."""
    with record.open_locked(command.root(), command.arguments[0]) as entry:
        check_alive(entry)
        group = groups.of(entry)
        if not group.frozen():
            raise StateError(f"container {entry.id}", "container not paused")
        group.thaw()


def check_alive(entry: Record) -> None:
    """Raise StateError if the container does not run."""
    if entry.status() not in record.SIGNALLED:
        raise StateError(f"container {entry.id}", "container not running", f"it is {entry.status()}")
