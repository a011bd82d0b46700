"""The verb kill: send a signal to a container's first process, or to every one; see "Kill" in OCI's runtime.md."""

from __future__ import annotations

import os

from tinybox.errors import StateError, UsageError
from tinybox.linux.signals import signal
from tinybox.linux.signals.names import signal_named
from tinybox.oci import groups, record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinybox.oci.command_line import CommandLine
    from tinybox.oci.record import Record


def kill(command: CommandLine) -> None:
    """Send a signal, by name or number (TERM), to a container's first process, or with --all to every one.

    It does not wait for the lock of the container: so it can end a `start` whose hook does not end.
    """
    number = number_of((command.arguments[1:] or ["TERM"])[0])
    with record.open_unlocked(command.root(), command.arguments[0]) as entry:
        send(entry, number, everyone="all" in command.flags)


def number_of(word: str) -> int:
    """Return the number of the signal *word*, ``TERM`` or ``15``; UsageError: there is none of that name; signal(7).

    The number 0 sends nothing: it asks whether the process is there; see kill(2).
    """
    number = signal_named(word)
    if not number and word != "0":
        raise UsageError(f"signal {word}", "no such signal", "see signal(7)")
    return number


def send(entry: Record, number: int, *, everyone: bool) -> None:
    """Send signal *number* to a container's first process, or to *everyone* in its control group.

    Without its own pid namespace, the end of the first process would not end the others: so KILL goes to all.
    """
    status = entry.status()
    left = number == signal.SIGKILL and not has_own_processes(entry)  # others of the group outlive the first process
    if status == record.STOPPED and (everyone or (left and groups.of(entry).processes())):
        signal_all(entry, number)
        return
    if status not in record.SIGNALLED:
        raise StateError(f"container {entry.id}", "container not running", f"it is {status}")
    if everyone or (number == signal.SIGKILL and not has_own_processes(entry)):
        signal_all(entry, number)
    else:
        signal_first(entry, number)
    if number == signal.SIGKILL:
        groups.thaw(entry)  # in a frozen group of version 1, even KILL waits


def has_own_processes(entry: Record) -> bool:
    """Return whether the container has its own pid namespace: its end kills all processes; see pid_namespaces(7)."""
    kinds = entry.outline().get("linux", {}).get("namespaces", [])
    return any(kind["type"] == "pid" and not kind.get("path") for kind in kinds)


def signal_first(entry: Record, number: int) -> None:
    """Send signal *number* to a container's first process, if it has not just ended; see pidfd_send_signal(2)."""
    try:
        pidfd = entry.open_process()
    except ProcessLookupError:
        return
    try:
        signal.pidfd_send_signal(pidfd, number)
    except ProcessLookupError:
        return
    finally:
        os.close(pidfd)


def signal_all(entry: Record, number: int) -> None:
    """Send signal *number* to every process in the container's control group."""
    for pid in groups.of(entry).processes():
        signal_process(pid, number)


def signal_process(pid: int, number: int) -> None:
    """Send signal *number* to *pid*, if it has not just ended; see kill(2)."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
