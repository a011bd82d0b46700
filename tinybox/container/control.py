"""Commands on an existing container: kill, stop, rm, rename, pause, unpause, wait.

The owner of a running container is the process that watches it. Other commands do not write its state: they act on
kernel objects (a pidfd, a control group), and the owner sees and records the result. A container at rest has no owner,
so a command that changes it becomes its owner for that time.
"""

from __future__ import annotations

import contextlib
import errno
import os

from tinybox.container import freezing, lifecycle, sweeping
from tinybox.container.network import addresses, hosts_file
from tinybox.container.records import events, naming, spec, state, waking
from tinybox.container.running import Running, running
from tinybox.errors import DamagedError, NoSuchError, StateError, UsageError
from tinybox.linux.signals import signal
from tinybox.linux.signals.names import signal_named

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinybox.container.records.host import Host
    from tinybox.container.records.paths import Paths
    from tinybox.container.records.state_file import State

DYING = 10  # seconds that `kill` waits for the end of the process after KILL, as docker does
GRACE = 10  # seconds between the stop signal and KILL, as docker's default
PATIENCE = 30.0  # seconds that the owner may take to clean up after KILL, or to get on with that


def signal_number(word: str) -> int:
    """Return the number of the signal ``TERM``, ``SIGTERM``, ``15`` or ``RTMAX-3``; else UsageError; see signal(7)."""
    number = signal_named(word)
    if not number:
        raise UsageError(f"signal {word}", "no such signal", "see signal(7)")
    return number


def kill(paths: Paths, word: str, signal_word: str) -> None:
    """Send a signal to a container's first process; KILL reaches a paused one at once, other signals after unpause."""
    number = signal_number(signal_word)
    with running(paths, word) as target:
        if number == signal.SIGKILL:
            forbid_restart(paths, target.id)
            freezing.group(paths, target.id).thaw()
        target.kill(number)
        if number == signal.SIGKILL:
            _has_ended(target, DYING)
        waking.owner_of(target.state["pid"])  # a stopped owner would not see and record the end
        if number == signal.SIGKILL and target.ends_within(0):
            _is_recorded(target, DYING)


def forbid_restart(paths: Paths, container: str) -> None:
    """Make the file RUN/ID/no-restart: its owner then does not apply the restart policy when the container ends.

    Ignored: the run directory is gone (the container has ended), or the disk is full (the user sees the restart).
    """
    try:
        os.close(
            os.open(os.path.join(paths.run_directory(container), state.NO_RESTART), os.O_CREAT | os.O_WRONLY, 0o600)
        )
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOSPC, errno.EDQUOT):
            raise


def stop(paths: Paths, word: str, seconds: float | None = None, signal_word: str = "") -> None:
    """Send a container its stop signal, and KILL after *seconds* (default 10); do nothing if it is at rest."""
    container = naming.find(paths, word)
    annotations = state.read(paths, container)["annotations"]
    number = signal_number(signal_word or annotations.get(spec.STOP_SIGNAL, "SIGTERM"))
    grace = seconds if seconds is not None else float(annotations.get(spec.STOP_TIMEOUT, GRACE))
    if bring_down(paths, container, number, None if grace < 0 else grace):
        events.emit(paths, container, "stop")


def bring_down(paths: Paths, container: str, number: int, grace: float | None) -> bool:
    """End a container's processes until no process owns it any more; return whether it was running.

    Another command or its restart policy may start it meanwhile, so its state is read again after every wait.
    """
    ended, pause, waits = -1, 0.0, waking.Wait(paths, container, to_the_end=True)
    owner, patience = waking.Owner(paths, 0), PATIENCE
    while not state.wait_for_owner(paths, container, pause):
        if (lasted := waits.check()) > patience:
            if not owner.gets_on():
                cure = "its monitor or the kernel keeps it alive"
                raise StateError(f"container {container[:12]}", "does not end", cure)
            patience = lasted + PATIENCE
        pause = waits.pause()
        try:
            now = state.read(paths, container)
        except DamagedError:
            if number != signal.SIGKILL:
                raise
            forbid_restart(paths, container)
            freezing.group(paths, container).kill()  # only the control group tells which processes are its own
            continue
        except StateError:
            continue  # its owner removes it because of --rm
        if now["status"] == state.RUNNING or now.get("restarting"):
            forbid_restart(paths, container)
        if now["status"] == state.RUNNING and now["startTicks"] != ended:
            owner, patience = waking.Owner(paths, now["pid"]), PATIENCE
            _end(paths, now, number, grace)
            ended, waits = now["startTicks"], waking.Wait(paths, container, to_the_end=True)
    if waits.is_orphan:
        from tinybox.container.records import host

        sweeping.sweep(paths, host.read(paths.cache), [container])
    state.remove_empty(paths.run_directory(container))  # its owner removes the lock before the directory
    return ended >= 0


def _end(paths: Paths, now: State, number: int, grace: float | None) -> None:
    """End the process in the state *now* by signal *number*, and by KILL after *grace* seconds."""
    try:
        target = Running(paths, now["id"], now)
    except StateError:
        return
    with target:
        freezing.group(paths, target.id).thaw()
        target.kill(number)
        if not _has_ended(target, grace):
            # In a frozen group of cgroup v1, even KILL has no effect before the thaw.
            freezing.group(paths, target.id).thaw()
            target.kill(signal.SIGKILL)
            _has_ended(target, PATIENCE)


def _has_ended(target: Running, seconds: float | None) -> bool:
    """Wait at most *seconds* for the end of *target*, and continue stopped (SIGSTOP) processes that delay it."""
    waits = waking.Wait(target.paths, target.id)
    while not target.ends_within(waits.left(seconds)):
        lasted = waits.check()
        if seconds is not None and lasted >= seconds:
            return False
    return True


def await_end(target: Running) -> None:
    """Wait until *target*, which another process has killed, has ended, and its owner has recorded that."""
    _has_ended(target, PATIENCE)
    _is_recorded(target, PATIENCE)


def _is_recorded(target: Running, seconds: float) -> None:
    """Wait at most *seconds* until the owner of *target* has recorded its end, and is gone."""
    waits = waking.Wait(target.paths, target.id, to_the_end=True)
    while not state.wait_for_owner(target.paths, target.id, waits.pause()) and waits.check() <= seconds:
        continue


def remove(paths: Paths, here: Host, word: str, *, force: bool, volumes: bool) -> None:
    """Remove a container at rest, or with *force* a running one after KILL; with *volumes* its anonymous volumes."""
    container = naming.find(paths, word)
    if force:
        bring_down(paths, container, signal.SIGKILL, PATIENCE)
        sweeping.sweep(paths, here, [container])
    try:
        record = lifecycle.acquire(paths, here, container, damaged_too=True)
    except StateError as error:
        raise StateError(f"container {word}", error.cause, f"stop it first, or tinybox rm -f {word}") from error
    try:
        if not os.path.isdir(paths.bundle(container)):
            if force:
                return  # its owner has removed it upon KILL, because of --rm, or another command has
            raise NoSuchError(f"container {word}", "no such container", "another command has just removed it")
        annotations = record.state.get("annotations", {})
        gone = events.of_container(paths, container, "destroy", annotations)  # it still has its name
        lifecycle.delete(paths, container, volumes_too=volumes)
        events.write(paths, gone)
    finally:
        record.close()


def rename(paths: Paths, word: str, name: str) -> None:
    """Give a container another name; StateError if another has it."""
    container = naming.find(paths, word)
    former = naming.of(paths, container)
    naming.rename(paths, container, name)
    hosts_file.refresh(paths, [end.network for end in addresses.endpoints(paths, container)])
    events.emit(paths, container, "rename", oldName=f"/{''.join(former)}", name=name)


def pause(paths: Paths, word: str) -> None:
    """Freeze every process of a container, until `unpause`; see docker-pause(1)."""
    with running(paths, word) as target, freezing.Freezer(paths, target.id) as freezer:
        if freezer.is_frozen():
            raise StateError(f"container {word}", "is already paused", f"tinybox unpause {word}")
        freezer.freeze()


def unpause(paths: Paths, word: str) -> None:
    """Thaw a container that was frozen by `pause`; see docker-unpause(1)."""
    with running(paths, word) as target, freezing.Freezer(paths, target.id) as freezer:
        if not freezer.is_frozen():
            raise StateError(f"container {word}", "is not paused")
        freezer.thaw()


def wait(paths: Paths, word: str) -> int | None:
    """Wait until a container ends; return its exit status, or None if that is unknown; see docker-wait(1).

    If its restart policy starts it again, the status is that of the first end.
    """
    container = naming.find(paths, word)
    former = state.read(paths, container).get("finishedAt")
    waits = waking.Wait(paths, container)
    while not state.wait_for_owner(paths, container, waits.pause()):
        waits.check()
        now = state.seen(paths, container)
        known = now or state.last(paths, container)
        if known.get("finishedAt") != former and (now or known.get("restarting")):
            return known.get("exitCode")
        if now.get("status") == state.RUNNING:
            with contextlib.suppress(StateError), Running(paths, container, now) as target:
                if not target.ends_within(0) and _has_ended(target, None):
                    waits = waking.Wait(paths, container)
    ended = state.stored(paths, container)
    if not ended:  # removed at its end (--rm), or by another command
        return events.exit_status(paths, container)
    return ended.get("exitCode", 0)  # a container that never ran has none; docker returns 0 for it
