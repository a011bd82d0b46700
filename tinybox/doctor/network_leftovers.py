"""Find and remove the network leftovers of dead boxes: addresses, pools, bridges and links, firewall rules.

A process that makes a veth pair has reserved an address before, and holds the lock of HostBridges while it makes the
pair. So a process that holds this lock, and finds no living box with an address on a bridge, can be sure: nothing uses
the bridge, the links attached to it, and tinybox's firewall rules.
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
from tinybox.linux import proc
from tinybox.linux.filesystem import files
from tinybox.linux.sockets.nftables import Nftables

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinybox.container.records.paths import Paths


def leases(_: Paths) -> list[str]:
    """Return the address files of boxes whose directory is gone; every other dead box is cleaned up by its store."""
    return _leases(address_pools.folder(), is_stray=lambda owner: not os.path.isdir(owner))


def free(_: Paths, paths: list[str]) -> None:
    """Remove the address files *paths*, and the pools that are empty then."""
    with HostBridges() as bridges:
        for path in paths:
            files.discard(path)
        bridges.tidy()


def _leases(pools: str, is_stray: Callable[[str], bool]) -> list[str]:
    paths = [f"{pools}/{pool}/{name}" for pool in _names(pools) for name in _names(f"{pools}/{pool}")]
    return [path for path in paths if is_stray(naming.target(path))]


def _names(folder: str) -> list[str]:
    """List the names in *folder* that are not hidden; none if it is no directory."""
    try:
        return sorted(name for name in os.listdir(folder) if not name.startswith("."))
    except (FileNotFoundError, NotADirectoryError):
        return []


def pools(_: Paths) -> list[str]:
    """Return the pools of network namespaces that have no process, no mount and no living box."""
    alive = _namespaces()
    paths = [f"{address_pools.POOLS}/{name}" for name in _names(address_pools.POOLS)]
    return [path for path in paths if os.path.basename(path) not in alive and not _leases(path, address_pools.is_alive)]


def _namespaces() -> set[str]:
    """Return the inodes of the network namespaces that a process is in, or that are mounted; see namespaces(7)."""
    found = set()
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        try:
            found.add(str(os.stat(f"/proc/{pid}/ns/net").st_ino))
        except OSError:  # the process has just ended
            continue
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        roots = [mount.root for mount in proc.mountinfo(file.read())]
    return found | {root[len("net:[") : -1] for root in roots if root.startswith("net:[")}


def remove_pools(_: Paths, paths: list[str]) -> None:
    """Remove the pools *paths* with all their addresses."""
    for path in paths:
        with Reported(f"pool {path}"):
            files.remove_tree(path)


def links(paths: Paths) -> list[str]:
    """Return the links attached to bridges of this store's networks without a living box, and these bridges."""
    host, bridges = HostBridges(), {each.bridge for each in definitions.every(paths) if each.bridge}
    idle = [bridge for bridge in sorted(bridges) if interfaces.exists(bridge) and not host.boxes(bridge)]
    if not idle:
        return []
    seen = facts.facts()
    attached = [link.name for link in seen.links if seen.names.get(link.master) in idle]
    return [*attached, *idle]


def remove_links(paths: Paths, names: list[str]) -> None:
    """Remove the links *names*, if they are still unused."""
    with HostBridges():
        for name in [name for name in links(paths) if name in names]:
            removal.remove_link(name)


def table(_: Paths) -> list[str]:
    """Return the name of tinybox's firewall table, if it exists and no box lives."""
    return [] if not _is_idle() or not firewall.listed() else [firewall.TABLE]


def _is_idle() -> bool:
    host = HostBridges()
    return not os.path.isdir(host.path) or not host.boxes()


def remove_table(paths: Paths, _: list[str]) -> None:
    """Remove the firewall table, if it is still unused."""
    with HostBridges():
        if table(paths):
            with Nftables() as nft:
                firewall.clear(nft)
