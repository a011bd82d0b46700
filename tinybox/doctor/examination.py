"""The list of all checks, in the order in which a box needs things: machine, rights, cgroups, files, network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinybox.doctor import firewall, groups, leftovers, machine, rights, storage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tinybox.container.records.paths import Paths
    from tinybox.doctor.finding import Finding

EXAMINATIONS = (
    machine.architecture,
    machine.kernel,
    machine.config,
    machine.python,
    machine.headroom,
    rights.root,
    rights.user_namespaces,
    rights.apparmor,
    rights.filters,
    groups.mode,
    groups.controllers,
    groups.delegation,
    storage.propagation,
    storage.trust,
    storage.overlayfs,
    machine.space,
    firewall.nftables,
    firewall.forwarding,
    firewall.others,
    leftovers.leftovers,
)


def examine(paths: Paths) -> Iterator[Finding]:
    """Yield one finding for each fact, in order; change nothing on this host."""
    for examination in EXAMINATIONS:
        yield examination(paths)
