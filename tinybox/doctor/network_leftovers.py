"""What networks can leave on a host, and how it is told for sure: nobody who lives has an address that needs it.

Who lays a cable has an address before, and holds the switchboard while he does. So who holds it, and finds no living
box with an address on a bridge, knows that this bridge, what is plugged into it, and our rules are nobody's.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tinybox.container.network import definitions
from tinybox.container.network import pools as address_pools
from tinybox.container.network.host_bridges import HostBridges
from tinybox.container.records import naming
from tinybox.errors import Reported
from tinybox.isolation.network import facts, firewall, interfaces, removal
from tinybox.linux import files, proc

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinybox.container.records.paths import Paths


def leases(_: Paths) -> list[str]:
    """Name the addresses of boxes of which nothing is left; those of the dead who are known their own store sweeps."""
    return _leases(address_pools.folder(), is_stray=lambda owner: not os.path.isdir(owner))


def free(_: Paths, paths: list[str]) -> None:
    """Free them, and remove the pools that are empty then."""
    with HostBridges() as board:
        for path in paths:
            naming.discard(path)
        board.tidy()


def _leases(pools: str, is_stray: Callable[[str], bool]) -> list[str]:
    paths = [f"{pools}/{pool}/{name}" for pool in _names(pools) for name in _names(f"{pools}/{pool}")]
    return [path for path in paths if is_stray(naming.target(path))]


def _names(folder: str) -> list[str]:
    """List what is not hidden in *folder*; nothing if it is none."""
    try:
        return sorted(name for name in os.listdir(folder) if not name.startswith("."))
    except (FileNotFoundError, NotADirectoryError):
        return []


def pools(_: Paths) -> list[str]:
    """Name the pools of network namespaces that no process is in, that have no name, and no living box."""
    alive = _namespaces()
    paths = [f"{address_pools.POOLS}/{name}" for name in _names(address_pools.POOLS)]
    return [path for path in paths if os.path.basename(path) not in alive and not _leases(path, address_pools.is_alive)]


def _namespaces() -> set[str]:
    """Return the numbers of the network namespaces that somebody is in, or that are mounted; see namespaces(7)."""
    found = set()
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        try:
            found.add(str(os.stat(f"/proc/{pid}/ns/net").st_ino))
        except OSError:  # it has just ended
            continue
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        roots = [mount.root for mount in proc.mountinfo(file.read())]
    return found | {root[len("net:[") : -1] for root in roots if root.startswith("net:[")}


def remove_pools(_: Paths, paths: list[str]) -> None:
    """Remove them, whole."""
    for path in paths:
        with Reported(f"pool {path}"):
            files.remove_tree(path)


def links(paths: Paths) -> list[str]:
    """Name the bridges of this store's networks that no living box is on, and what is plugged into them."""
    board, bridges = HostBridges(), {each.bridge for each in definitions.every(paths) if each.bridge}
    idle = [bridge for bridge in sorted(bridges) if interfaces.exists(bridge) and not board.boxes(bridge)]
    if not idle:
        return []
    seen = facts.facts()
    plugged = [link.name for link in seen.links if seen.names.get(link.master) in idle]
    return [*plugged, *idle]


def remove_links(paths: Paths, names: list[str]) -> None:
    """Remove them, if they are still nobody's."""
    with HostBridges():
        for name in [name for name in links(paths) if name in names]:
            removal.remove_link(name)


def table(_: Paths) -> list[str]:
    """Name our table of the firewall, if there is one, and no living box."""
    return [] if not _is_idle() or not firewall.exists() else [firewall.TABLE]


def _is_idle() -> bool:
    board = HostBridges()
    return not os.path.isdir(board.path) or not board.boxes()


def remove_table(paths: Paths, _: list[str]) -> None:
    """Remove it, if it is still nobody's."""
    with HostBridges():
        if table(paths):
            firewall.clear().end()
