"""The clean-up after tinybox processes that were killed: the next command ends and records their containers.

The owner of a running container holds the lock RUN/ID/lock. The kernel releases it when the owner ends, in whatever
way: flock(2). So a lock that is free says that the owner is dead.
"""

from __future__ import annotations

import os

from tinybox.container.records import state
from tinybox.container.records.paths import POOLS
from tinybox.errors import DamagedError, HostError, Reported, report
from tinybox.linux import user_namespaces

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from tinybox.container.records.host import Host
    from tinybox.container.records.paths import Paths
    from tinybox.container.records.spec_types import Spec
    from tinybox.container.records.state import Record


def sweep(paths: Paths, host: Host | None = None, only: Iterable[str] | None = None) -> list[str]:
    """Clean up after every tinybox process that was killed: end and record its containers; return their ids.

    Only the run directories are read, one for each container that runs, or those of *only* some containers; containers
    at rest cost nothing here. The code that ends a container, and the facts about this *host*, are loaded only if there
    is one to end.

    A container that cannot be cleaned up is reported and left to a later command; the others are cleaned up all the
    same. A container that a killed command has only frozen is thawed.
    """
    swept = []
    for container in paths.with_run_directory() if only is None else only:
        record = None
        with Reported(f"clean-up of container {container[:12]}") as outcome:
            record = state.inherit(paths, container)
            if record is not None:
                _reap(paths, host, record)
                swept.append(container)
            elif _names_a_freezer(os.path.join(paths.run_directory(container), state.FREEZER)):
                from tinybox.container import freezing

                freezing.thaw_for_the_dead(paths, container)
        if outcome.failed and record is not None:
            record.hand_over()
    return swept


def _names_a_freezer(path: str) -> bool:
    """Return whether the file RUN/ID/freezer has content, and so has been written by a command that freezes."""
    try:
        return os.stat(path).st_size > 0
    except OSError:
        return False


def finish_removals() -> None:
    """Remove the network links that a killed link remover has left; see network/link_remover.py."""
    if not (user_namespaces.live or os.path.isdir(POOLS)):  # no box of this host has been on a bridge
        return
    from tinybox.container.network import pools

    try:
        folder = pools.folder()
    except HostError:  # the pools are not trusted: a command that uses them reports that
        return
    if os.path.exists(os.path.join(folder, pools.LEAVING)):
        from tinybox.container.network.host_bridges import HostBridges

        with Reported("network links of a box that has ended"), HostBridges():
            pass


def _disconnect(paths: Paths, container: str) -> list[tuple[str, str]]:
    from tinybox.container.network import endpoints

    return endpoints.release_of_the_dead(paths, container)


def _reap(paths: Paths, host: Host | None, record: Record) -> None:
    """End and record a container whose owner has died. Its exit status is unknown, and no restart policy is applied.

    If the dead owner had only read or copied files of a container at rest (`cp`, `export`, `commit`), it is kept.
    """
    from tinybox.container import lifecycle
    from tinybox.container.process.plan_runner import attempt
    from tinybox.container.records import events, naming, spec
    from tinybox.container.records import host as facts

    lifecycle.end_group(record, host or facts.read(paths.cache))
    left: list[tuple[str, str]] = []
    attempt(lambda: left.extend(_disconnect(paths, record.id)))
    if os.path.lexists(os.path.join(paths.run_directory(record.id), "volumes")):  # see storage/mounted_volumes.py
        attempt(lambda: lifecycle.unmount_volumes(paths, record.id))
    naming.hide(paths, record.id)
    try:
        kept = state.stored(paths, record.id)
    except DamagedError as error:  # its files stay, and `ps` names it
        report(error)
        record.close()
        return
    if kept is None or (record.is_bound() and kept["annotations"].get(spec.REMOVE)):
        lifecycle.delete(paths, record.id)
    elif record.state.get("status") == state.RUNNING:
        record.write(status=state.STOPPED, pid=0, finishedAt=state.now(), exitCode=None)
        config: Spec = {**spec.load_if_sound(paths.bundle(record.id)), "annotations": kept["annotations"]}
        events.emit_end(paths, record.id, config, left, {}, "unknown")
    elif kept.get("restarting"):
        state.Record(paths, record.id, -1, kept).write(restarting=False)
    record.close()
