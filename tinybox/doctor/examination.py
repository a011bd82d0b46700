"""The list of all checks, in the order in which a box needs things: machine, rights, cgroups, files, network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinybox.doctor import firewall, groups, leftovers, links, machine, rights, storage, without_root
from tinybox.linux import user_namespaces

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
    links.links,
    firewall.nftables,
    firewall.forwarding,
    firewall.others,
    leftovers.leftovers,
)
# In the home of a user without root, other facts count, and those of the host's root cannot be read.
ROOTS = (
    *(rights.root, rights.user_namespaces, groups.mode, groups.controllers, groups.delegation, storage.propagation),
    *(firewall.forwarding, firewall.others),
)
WITHOUT_ROOT = (without_root.ids, without_root.limits, without_root.way_out, without_root.ports)


def examine(paths: Paths) -> Iterator[Finding]:
    """Yield one finding for each fact, in order; change nothing on this host."""
    chosen = list(EXAMINATIONS)
    if user_namespaces.home >= 0:
        chosen = [*(each for each in chosen if each not in ROOTS), *WITHOUT_ROOT]
    for examination in chosen:
        yield examination(paths)
