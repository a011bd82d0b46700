"""Endpoints: reserve, connect and release a container's ports, addresses and links in its networks.

All of it is recorded in the run directory before it is taken. So the command that reaps a container after its owner was
killed knows what to undo.
"""

from __future__ import annotations

import os

from tinybox import explain
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
from tinybox.errors import StateError, UsageError
from tinybox.linux import quick_json as json
from tinybox.linux import user_namespaces

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinybox.container.network.addresses import EndpointRequest
    from tinybox.container.network.definitions import Network
    from tinybox.container.network.port_reservation import Reservation
    from tinybox.container.process.handles import Handles
    from tinybox.container.records.paths import Paths


class Endpoints:
    """One container's network actions: the functions that the planner's steps call."""

    def __init__(self, paths: Paths, container: str, annotations: dict[str, str]) -> None:
        self.paths, self.id, self.annotations = paths, container, annotations
        self.wants: list[EndpointRequest] = json.loads(annotations.get(spec.NETWORKS) or "[]")
        self.ports = published_ports.published(annotations)
        self.reservations: list[Reservation] = []
        self.networks: list[tuple[str, str]] = []  # that were joined, and after `release` left: each id and name
        self.returns_early = False  # the owner ends with the container: it need not wait until the links are removed
        self.former: dict[str, str] = {}  # by network: a restored box's sockets may be bound to these addresses

    @staticmethod
    def enter_home_network() -> None:
        """Enter the network of a home, where all that follows is done; see network_namespaces(7), home_network.py."""
        from tinybox.isolation.rootless import home_network

        home_network.enter(user_namespaces.live)

    def reserve_ports(self) -> None:
        """Reserve the host's side of the published ports, and record them in the run directory; see bind(2).

        HostError if a port is in use; that is the first step, so that nothing has been made then.
        """
        self.reservations = [port_reservation.reserve(port) for port in self.ports]
        published_ports.save(self.paths.run_directory(self.id), [reservation.port for reservation in self.reservations])

    def published(self) -> dict[str, str]:
        """Return the annotation with the published ports: the reserved ones, or before that the requested ones."""
        if not self.ports:
            return {}
        return {spec.PORTS: json.dumps([reservation.port for reservation in self.reservations] or self.ports)}

    def release_ports(self) -> None:
        """Release the reserved ports of the host."""
        for reservation in self.reservations:
            reservation.close()
        self.reservations = []

    def assign_addresses(self) -> None:
        """Lease an address in each network; each start gets new ones, but a restored box its former ones if it can."""
        for want in self.wants:
            network = definitions.find(self.paths, want["name"])
            self._assign(network, want)
            self.networks.append((network.id, network.name))

    def _assign(self, network: Network, want: EndpointRequest) -> None:
        former = self.former.get(network.name, "")
        if former and not want.get("address"):
            try:
                addresses.lease(self.paths, network, self.id, {**want, "address": former})
            except (StateError, UsageError):  # another box has it, or the network has another subnet now
                pass
            else:
                return
        addresses.lease(self.paths, network, self.id, want)

    def announce(self) -> None:
        """Write the box's names and addresses into its own /etc/hosts and those of its neighbours; see hosts(5)."""
        hosts_file.announce(self.paths, self.id, self.annotations)

    def order(self, handles: Handles) -> None:
        """Order the link maker to make the box's links; the box must have its network namespace by now; see veth(4)."""
        handles.link_maker = handles.link_maker or link_maker.LinkMaker()
        handles.link_maker.order(self.paths.run_directory(self.id), handles.pid)
        if explain.listeners:  # each change is shown at its own step
            self.wait(handles)

    @staticmethod
    def wait(handles: Handles) -> None:
        """Wait until the link maker has made the links; its error is raised here."""
        if handles.link_maker is not None:
            handles.link_maker.wait()
            handles.link_maker = None

    def release(self) -> None:
        """Release all links, addresses and ports of the container."""
        self.networks = release(self.paths, self.id, meanwhile=self.returns_early and not explain.listeners)
        self.release_ports()


def release_of_the_dead(paths: Paths, container: str) -> list[tuple[str, str]]:
    """Release what a container had in its networks, after its owner has died; return them as `release` does.

    For a user without root, a child process enters the network of the home, if a box is in it: a process cannot leave
    it again; see network_namespaces(7).
    """
    if not user_namespaces.live:
        return release(paths, container)
    from tinybox.container.process.run_in_child import RunInChild
    from tinybox.isolation.rootless import home_network

    def act() -> None:
        if home_network.join(user_namespaces.live):
            release(paths, container)
            for port in published_ports.load(paths.run_directory(container)) or ():
                home_network.withdraw(user_namespaces.live, port["protocol"], port["hostPort"])

    left = [(end.id, end.network) for end in addresses.read(paths.run_directory(container))]
    with RunInChild(act):
        return left


def release(paths: Paths, container: str, network: str = "", *, meanwhile: bool = False) -> list[tuple[str, str]]:
    """Release a container's links and addresses in its networks, or in one *network*; a second call does no harm.

    Return the id and the name of each network that it has left. The container's owner calls this, or the command that
    reaps the container. *meanwhile*: a child removes the links, and is not waited for.
    """
    left = _disconnect(paths, container, network, meanwhile=meanwhile)
    if left:
        hosts_file.refresh(paths, [name for _, name in left], container if network else "")
    return left


def _disconnect(paths: Paths, container: str, network: str, *, meanwhile: bool) -> list[tuple[str, str]]:
    """Remove a container's links, or only that to one *network*; return the networks that it has left."""
    owner = paths.run_directory(container)
    ends = [end for end in addresses.read(owner) if network in ("", end.network)]
    if not os.path.isdir(pools.folder()):
        return []
    with host_bridges.HostBridges() as bridges:
        try:
            if ends:
                bridges.disconnect(owner, ends, meanwhile=meanwhile)
        finally:  # still under the lock: the next process must see which boxes are left
            addresses.give_back(paths, container, network)
            bridges.tidy()
    return [(end.id, end.network) for end in ends]
