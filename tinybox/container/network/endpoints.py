"""A box and its networks: it takes its ports and addresses, has its cables laid, and gives all of it back.

What it has is written down in its live directory before it is taken; so whoever buries a container whose owner was
killed knows what there is to undo.
"""

from __future__ import annotations

import os

from tinybox.container.network import (
    addresses,
    definitions,
    host_bridges,
    hosts_file,
    link_maker,
    pools,
    port_reservation,
    published_ports,
)
from tinybox.container.records import spec
from tinybox.linux import quick_json as json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinybox.container.network.addresses import EndpointRequest
    from tinybox.container.network.port_reservation import Reservation
    from tinybox.container.process.handles import Handles
    from tinybox.container.records.paths import Paths


class Endpoints:
    """The part of one container's life that has to do with networks: the actions of the planner's steps."""

    def __init__(self, paths: Paths, container: str, annotations: dict[str, str]) -> None:
        self.paths, self.id, self.annotations = paths, container, annotations
        self.wants: list[EndpointRequest] = json.loads(annotations.get(spec.NETWORKS) or "[]")
        self.ports = published_ports.published(annotations)
        self.claims: list[Reservation] = []

    def reserve_ports(self) -> None:
        """Take the host's side of the published ports, before anything is made; see bind(2)."""
        self.claims = [port_reservation.reserve(port) for port in self.ports]
        published_ports.save(self.paths.run_directory(self.id), [claim.port for claim in self.claims])

    def published(self) -> dict[str, str]:
        """Return the annotation with the ports: as they are published now, or as they are asked for by one at rest."""
        if not self.ports:
            return {}
        return {spec.PORTS: json.dumps([claim.port for claim in self.claims] or self.ports)}

    def release_ports(self) -> None:
        """Give the host's ports free."""
        for claim in self.claims:
            claim.close()
        self.claims = []

    def assign_addresses(self) -> None:
        """Take an address in each network, new ones at each start."""
        for want in self.wants:
            addresses.lease(self.paths, definitions.find(self.paths, want["name"]), self.id, want)

    def announce(self) -> None:
        """Tell the box its names, and its neighbours of it: their /etc/hosts; see hosts(5)."""
        hosts_file.announce(self.paths, self.id, self.annotations)

    def order(self, handles: Handles) -> None:
        """Have the cables laid, now that the box has a network namespace; see veth(4)."""
        handles.link_maker = handles.link_maker or link_maker.LinkMaker()
        handles.link_maker.order(self.paths.run_directory(self.id), handles.pid)

    @staticmethod
    def wait(handles: Handles) -> None:
        """Wait until the cables are laid."""
        if handles.link_maker is not None:
            handles.link_maker.wait()
            handles.link_maker = None

    def release(self) -> None:
        """Give back all that this life has taken."""
        release(self.paths, self.id)
        self.release_ports()


def release(paths: Paths, container: str, network: str = "") -> None:
    """Give back what a container has in networks, or in one; its owner does this, or who buries it. Twice is fine."""
    touched = _disconnect(paths, container, network)
    if touched:
        hosts_file.refresh(paths, touched, container if network else "")


def _disconnect(paths: Paths, container: str, network: str = "") -> list[str]:
    """Take a container's cables out, or that of one *network*; return the names of the networks that it was in."""
    owner = paths.run_directory(container)
    ends = [end for end in addresses.read(owner) if network in ("", end.network)]
    if not os.path.isdir(pools.folder()):
        return []
    with host_bridges.HostBridges() as board:
        try:
            if ends:
                board.disconnect(owner, ends)
        finally:  # while the board is ours: the next one must see who is the last
            addresses.give_back(paths, container, network)
            board.tidy()
    return [end.network for end in ends]
