"""Find the leftovers of killed commands, and remove them (doctor --fix): containers, names, cgroups, imports ...

Every other command cleans up after dead owner processes before its own work; the doctor does not, so that it can report
them. It also finds the leftovers that no other command looks for. A file that a process locks is no leftover; see
flock(2).
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from tinybox.container import freezing, lifecycle, sweeping
from tinybox.container.records import home_ranges, host, id_ranges, naming, state
from tinybox.doctor import network_leftovers
from tinybox.doctor.finding import NOTE, OK, Finding, is_root
from tinybox.errors import Reported
from tinybox.images import intake
from tinybox.images.store import Store
from tinybox.isolation.cgroups import files, group
from tinybox.isolation.cgroups.hierarchies import hierarchies
from tinybox.linux import user_namespaces

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinybox.container.records.paths import Paths

YOUNG = 60.0  # seconds: a group that has been empty for longer is not of a box that is being made


def leftovers(paths: Paths) -> Finding:
    """Report the leftovers of each kind."""
    if not is_root():
        return Finding("leftovers", OK, "only root can see the leftovers of containers")
    found = {kind: _found(paths, kind) for kind in _kinds()}
    text = "; ".join(f"{kind}: {_shortened(names)}" for kind, names in found.items() if names)
    if text:
        return Finding("leftovers", NOTE, text, "tinybox doctor --fix removes them, and nothing else")
    return Finding("leftovers", OK, "none")


def _kinds() -> list[str]:
    """Return the kinds that this user can have left: those of the host, and its network, are only root's."""
    return [kind for kind in KINDS if user_namespaces.home < 0 or kind not in OF_THE_HOST]


def _shortened(names: list[str]) -> str:
    shown = ", ".join(os.path.basename(name)[:12] for name in names[:3])
    return f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown


def remove(paths: Paths) -> list[str]:
    """Remove all leftovers, the containers of dead owners first; return a line for each that was removed.

    An error is printed on stderr, and the other leftovers are still removed.
    """
    lines = []
    for kind in _kinds():
        _, remove_all = KINDS[kind]
        names = _found(paths, kind)
        if names:
            with Reported(kind):
                remove_all(paths, names)
        left = set(_found(paths, kind))
        lines += [f"{kind}: {os.path.basename(name)}" for name in names if name not in left]
    return lines


def _found(paths: Paths, kind: str) -> list[str]:
    """Return the names of the leftovers of one *kind*; if the search fails, print the error and return none."""
    with Reported(kind):
        return KINDS[kind][0](paths)
    return []


def _orphaned(paths: Paths) -> list[str]:
    """Return the containers that have a run directory, but whose owner process is dead."""
    return [container for container in paths.with_run_directory() if state.wait_for_owner(paths, container, 0)]


def _sweep(paths: Paths, _: list[str]) -> None:
    sweeping.sweep(paths, host.read(paths.cache))


def _frozen(paths: Paths) -> list[str]:
    """Return the containers that are still frozen because the command that froze them was killed."""
    return [container for container in paths.with_run_directory() if freezing.left_frozen(paths, container)]


def _thaw(paths: Paths, containers: list[str]) -> None:
    for container in containers:
        freezing.thaw_for_the_dead(paths, container)


def _unfinished(paths: Paths) -> list[str]:
    """Return the containers that have a bundle without state.json, and no run directory."""
    return [
        container
        for container in paths.stored()
        if state.stored(paths, container) is None and not os.path.isdir(paths.run_directory(container))
    ]


def _delete(paths: Paths, containers: list[str]) -> None:
    for container in containers:
        with Reported(f"container {container[:12]}"):
            record = state.lock(paths, container)
            try:
                lifecycle.delete(paths, container)
            finally:
                record.close()


def _only_names(paths: Paths) -> list[str]:
    """Return the ids of containers of which only a name is left."""
    return [
        container
        for container in naming.every(paths)
        if not os.path.isdir(paths.bundle(container)) and not os.path.isdir(paths.run_directory(container))
    ]


def _release(paths: Paths, containers: list[str]) -> None:
    for container in containers:
        naming.release(paths, container)


def _groups(_: Paths) -> list[str]:
    """Return the control groups of containers, of all stores, that have been without a process for a while."""
    parent = os.path.dirname(group.place("id"))
    long_ago = time.time() - YOUNG
    found = []
    for root in hierarchies().roots():
        for name in _folders(f"{root}/{parent}"):
            path = f"{root}/{parent}/{name}"
            if os.stat(path).st_mtime < long_ago and not files.processes(path):
                found.append(path)
    return found


def _folders(path: str) -> list[str]:
    try:
        return [entry.name for entry in os.scandir(path) if entry.is_dir()]
    except FileNotFoundError:
        return []


def _remove_groups(_: Paths, paths: list[str]) -> None:
    for path in paths:
        with Reported(f"cgroup {path}"):
            files.remove_tree(path, time.monotonic())
            files.rmdir(os.path.dirname(path))


def _id_ranges(_: Paths) -> list[str]:
    """Return the id ranges whose container is gone, because its store was deleted or a command was killed."""
    return id_ranges.unused()


def _reclaim(_paths: Paths, _names: list[str]) -> None:
    with id_ranges.Register() as register:
        register.reclaim()


def _home_ids(paths: Paths) -> list[str]:
    """Return the ranges of ids of this user's home (--userns auto) whose container is gone."""
    return home_ranges.unused(paths)


def _release_home_ids(paths: Paths, _: list[str]) -> None:
    home_ranges.sweep(paths)


def _unpacked(paths: Paths) -> list[str]:
    """Return the directories of imports that no process locks any more."""
    folder = f"{paths.root}/tmp"
    return [f"{folder}/{name}" for name in _folders(folder) if not intake.held(f"{folder}/{name}")]


def _sweep_imports(paths: Paths, _: list[str]) -> None:
    store = Store(paths.root)
    with store.locked():
        intake.sweep(store)


KINDS: dict[str, tuple[Callable[[Paths], list[str]], Callable[[Paths, list[str]], None]]] = {
    "containers of dead owners": (_orphaned, _sweep),
    "containers frozen by dead commands": (_frozen, _thaw),
    "unfinished containers": (_unfinished, _delete),
    "names without a container": (_only_names, _release),
    "id ranges without a container": (_id_ranges, _reclaim),
    "ids of the home without a container": (_home_ids, _release_home_ids),
    "empty control groups": (_groups, _remove_groups),
    "unfinished imports": (_unpacked, _sweep_imports),
    "addresses of dead boxes": (network_leftovers.leases, network_leftovers.free),
    "links without a box": (network_leftovers.links, network_leftovers.remove_links),
    "firewall rules without a box": (network_leftovers.table, network_leftovers.remove_table),
    "pools of dead network namespaces": (network_leftovers.pools, network_leftovers.remove_pools),
}
OF_THE_HOST = (
    "id ranges without a container",
    "empty control groups",
    "addresses of dead boxes",
    "links without a box",
    "firewall rules without a box",
    "pools of dead network namespaces",
)
