"""Acting on a container that is there: signal, stop, remove, rename, wait.

A running container belongs to the process that watches over it. Others do not write its state; they act on the kernel's
objects (a pidfd, a control group) and the owner sees what came of it. What is at rest is owned for a moment instead.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import signal

from tinybox.container import freezing, lifecycle
from tinybox.container.config import option_values
from tinybox.container.network import addresses, hosts_file
from tinybox.container.records import events, naming, spec, state, waking
from tinybox.errors import StateError, UsageError
from tinybox.linux import proc
from tinybox.linux import quick_json as json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

    from tinybox.container.records.host import Host
    from tinybox.container.records.paths import Paths
    from tinybox.container.records.state import State

DYING = 10  # seconds that `kill` waits for the end after KILL, as docker's
GRACE = 10  # seconds between the stop signal and KILL, as docker's
_LONGEST = (1 << 31) - 1  # milliseconds that poll(2) can wait: 24 days
PATIENCE = 30  # seconds that the owner may take to clean up after KILL


class Running:
    """A running container's first process, held by a pidfd: it can never mean another process; see pidfd_open(2)."""

    def __init__(self, paths: Paths, container: str, state_now: State) -> None:
        self.paths, self.id, self.state = paths, container, state_now
        self.pidfd = _open(state_now)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.pidfd)

    def send(self, number: int) -> None:
        """Send it signal *number*; one that has just ended is fine; see pidfd_send_signal(2)."""
        try:
            signal.pidfd_send_signal(self.pidfd, number)
        except ProcessLookupError:
            return

    def ends_within(self, seconds: float | None) -> bool:
        """Wait until it has ended, at most so long; tell whether it has."""
        poll = select.poll()
        poll.register(self.pidfd, select.POLLIN)
        return bool(poll.poll(None if seconds is None else min(seconds * 1000, _LONGEST)))


def running(paths: Paths, word: str) -> Running:
    """Return the running container that *word* names; StateError when it does not run."""
    container = naming.find(paths, word)
    now = state.read(paths, container)
    if now["status"] != state.RUNNING:
        raise StateError(f"container {word}", "is not running", f"tinybox start {word}")
    return Running(paths, container, now)


def _open(now: State) -> int:
    """Open the process that *now* speaks of; StateError if its number belongs to another one already."""
    gone = StateError(f"container {now['id'][:12]}", "has just ended")
    try:
        pidfd = os.pidfd_open(now["pid"])
    except ProcessLookupError as error:
        raise gone from error
    found = proc.stat_of(now["pid"])
    if found is not None and found.starttime == now["startTicks"]:
        return pidfd
    os.close(pidfd)
    raise gone


def signal_number(word: str) -> int:
    """Return the number of ``TERM``, ``SIGTERM``, ``15`` or ``RTMIN+3``; UsageError if there is none; see signal(7)."""
    number = option_values.signal_named(word)
    if not number:
        raise UsageError(f"signal {word}", "no such signal", "see signal(7)")
    return number


def kill(paths: Paths, word: str, signal_word: str) -> None:
    """Send a signal to a container's first process; a paused one gets KILL at once, others when it goes on."""
    number = signal_number(signal_word)
    with running(paths, word) as target:
        if number == signal.SIGKILL:
            forbid_restart(paths, target.id)
            freezing.group(target.id).thaw()
        target.send(number)
        if number == signal.SIGKILL:
            _has_ended(target, DYING)
        waking.owner_of(target.state["pid"])  # else nobody sees what comes of it
        events.emit(paths, target.id, "kill", signal=number)


def forbid_restart(paths: Paths, container: str) -> None:
    """Leave word for the owner that the end is wanted, before it comes; a restart policy heeds it.

    It has gone, or the disk is full: then a container that is always restarted shows that it was not told.
    """
    try:
        os.close(
            os.open(os.path.join(paths.run_directory(container), state.NO_RESTART), os.O_CREAT | os.O_WRONLY, 0o600)
        )
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOSPC, errno.EDQUOT):
            raise


def stop(paths: Paths, word: str, seconds: float | None = None, signal_word: str = "") -> None:
    """Ask a container to stop by its stop signal, and KILL it after *seconds* (10); one at rest is stopped already."""
    container = naming.find(paths, word)
    wishes = state.read(paths, container)["annotations"]
    number = signal_number(signal_word or wishes.get(spec.STOP_SIGNAL, "SIGTERM"))
    grace = seconds if seconds is not None else float(wishes.get(spec.STOP_TIMEOUT, GRACE))
    if bring_down(paths, container, number, None if grace < 0 else grace):
        events.emit(paths, container, "stop")


def bring_down(paths: Paths, container: str, number: int, grace: float | None) -> bool:
    """Signal whatever runs of a container until nobody owns it, and tell whether anything ran.

    Others may be at work on it: one who starts it, or its own restart policy. So look again after every wait.
    """
    ended, pause, waits = -1, 0.0, waking.Wait(paths, container, to_the_end=True)
    while not state.wait_for_owner(paths, container, pause):
        if waits.look() > PATIENCE:
            raise StateError(f"container {container[:12]}", "does not end", "its monitor, or the kernel, holds it")
        pause = state.PAUSE
        try:
            now = state.read(paths, container)
        except StateError:
            continue  # its owner removes it, as --rm asked for
        if now["status"] == state.RUNNING or now.get("restarting"):
            forbid_restart(paths, container)
        if now["status"] == state.RUNNING and now["startTicks"] != ended:
            _end(paths, now, number, grace)
            ended, waits = now["startTicks"], waking.Wait(paths, container, to_the_end=True)
    if waits.is_orphan:
        from tinybox.container.records import host

        lifecycle.sweep(paths, host.read(paths.cache))
    state.remove_empty(
        paths.run_directory(container)
    )  # the last thing that its owner does, who has given it free before
    return ended >= 0


def _end(paths: Paths, now: State, number: int, grace: float | None) -> None:
    """End the process that *now* speaks of, by signal *number*, after *grace* seconds by KILL."""
    try:
        target = Running(paths, now["id"], now)
    except StateError:
        return
    with target:
        freezing.group(target.id).thaw()
        target.send(number)
        if not _has_ended(target, grace):
            freezing.group(target.id).thaw()  # a frozen group of version 1 keeps even KILL waiting
            target.send(signal.SIGKILL)
            _has_ended(target, PATIENCE)


def _has_ended(target: Running, seconds: float | None) -> bool:
    """Wait until it has ended, at most so long; a stopped process that holds that up is continued."""
    waits = waking.Wait(target.paths, target.id)
    while not target.ends_within(waits.left(seconds)):
        lasted = waits.look()
        if seconds is not None and lasted >= seconds:
            return False
    return True


def remove(paths: Paths, here: Host, word: str, *, force: bool, volumes: bool) -> None:
    """Remove a container at rest, or with *force* a running one after KILL; with *volumes* its nameless ones, too."""
    container = naming.find(paths, word)
    if force:
        bring_down(paths, container, signal.SIGKILL, PATIENCE)
        lifecycle.sweep(paths, here)
    try:
        record = lifecycle.acquire(paths, here, container)
    except StateError as error:
        raise StateError(f"container {word}", error.cause, f"stop it first, or tinybox rm -f {word}") from error
    if not os.path.isdir(paths.bundle(container)):
        record.close()
        raise StateError(f"container {word}", "no such container", "another command was faster")
    lifecycle.delete(paths, container, volumes_too=volumes)
    events.emit(paths, container, "destroy", record.state.get("annotations", {}))
    record.close()


def rename(paths: Paths, word: str, name: str) -> None:
    """Give a container another name; StateError if another has it."""
    container = naming.find(paths, word)
    former = naming.of(paths, container)
    naming.rename(paths, container, name)
    hosts_file.refresh(paths, [end.network for end in addresses.endpoints(paths, container)])
    events.emit(paths, container, "rename", oldName="".join(former), name=name)


def pause(paths: Paths, word: str) -> None:
    """Freeze every process of a container, until `unpause`; see docker-pause(1)."""
    with running(paths, word) as target, freezing.Freezer(paths, target.id) as freezer:
        if freezer.is_frozen():
            raise StateError(f"container {word}", "is already paused", f"tinybox unpause {word}")
        freezer.freeze()


def unpause(paths: Paths, word: str) -> None:
    """Let a frozen container go on; see docker-unpause(1)."""
    with running(paths, word) as target, freezing.Freezer(paths, target.id) as freezer:
        if not freezer.is_frozen():
            raise StateError(f"container {word}", "is not paused")
        freezer.thaw()


def wait(paths: Paths, word: str) -> int | None:
    """Wait until a container has ended, and return its exit status (None: nobody saw it); see docker-wait(1)."""
    container = naming.find(paths, word)
    waits = waking.Wait(paths, container)
    while not state.wait_for_owner(paths, container, state.PAUSE):
        waits.look()
        now: State | None = json.read_object(os.path.join(paths.run_directory(container), "state.json"))
        if now and now.get("status") == state.RUNNING:
            with contextlib.suppress(StateError), Running(paths, container, now) as target:
                if not target.ends_within(0) and _has_ended(target, None):
                    waits = waking.Wait(paths, container)
    ended = state.stored(paths, container)
    return ended.get("exitCode", 0) if ended else None  # one that never began has none, which docker counts as 0
