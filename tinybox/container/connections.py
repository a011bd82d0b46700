"""network connect, network disconnect: add a container to a network or remove it, while it runs or at rest.

The networks of a container are an annotation in its config.json, which the next start reads. If the container runs, its
veth pair is made at once by this command and not by the container's owner. When the container ends, the owner releases
every endpoint in the container's list of endpoints, so it also finds those that were added later.
"""

from __future__ import annotations

import contextlib
import os

from tinybox.container.config import networking
from tinybox.container.network import addresses, definitions, hosts_file
from tinybox.container.records import events, naming, spec, state
from tinybox.container.running import Running, running
from tinybox.errors import StateError
from tinybox.isolation.network.interfaces import configure
from tinybox.linux import quick_json as json
from tinybox.linux.filesystem.locks import lock_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

    from tinybox.container.network.addresses import EndpointRequest
    from tinybox.container.network.definitions import Network
    from tinybox.container.records.paths import Paths
    from tinybox.container.records.spec_types import Spec


class NetworkRequests:
    """The networks that a container's config.json asks for; the file is locked against other commands: flock(2)."""

    def __init__(self, paths: Paths, container: str) -> None:
        self.bundle = paths.bundle(container)
        self._fd = -1

    def __enter__(self) -> Self:
        self._fd = os.open(os.path.join(self.bundle, "config.json"), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        lock_file(self._fd)
        self.config: Spec = spec.load(self.bundle)
        self.requests: list[EndpointRequest] = wanted(self.config)
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)

    def save(self) -> None:
        """Write the requests to config.json."""
        self.config.setdefault("annotations", {})[spec.NETWORKS] = json.dumps(self.requests)
        spec.save(self.config, self.bundle)


def wanted(config: Spec) -> list[EndpointRequest]:
    """Return the endpoint requests in the annotations of *config*, one a network."""
    requests: list[EndpointRequest] = json.loads(config.get("annotations", {}).get(spec.NETWORKS) or "[]")
    return requests


def connect(paths: Paths, network: Network, word: str, request: EndpointRequest) -> None:
    """Connect the container that *word* names with *network*, under an address of its own; else StateError."""
    container = naming.find(paths, word)
    networking.check(network, request)
    with NetworkRequests(paths, container) as present:
        _check(network, word, present)
        if state.read(paths, container)["status"] == state.RUNNING:
            with running(paths, container) as target:
                _add_link(paths, network, target, request)
        present.requests.append(request)
        present.save()
    events.write(paths, events.of_network(network.id, network.name, "connect", container))


def _check(network: Network, word: str, present: NetworkRequests) -> None:
    thing = f"container {word}"
    if network.driver != "bridge":
        raise StateError(thing, f"cannot be connected to {network.name} network", f"--network {network.name} at run")
    if spec.NETWORKS not in present.config.get("annotations", {}):
        cause = "cannot be connected to a network"
        raise StateError(thing, cause, "it was made with --network none, host or container:")
    if any(request["name"] == network.name for request in present.requests):
        raise StateError(thing, f"endpoint already exists in network {network.name}", "disconnect it first")


def _add_link(paths: Paths, network: Network, target: Running, request: EndpointRequest) -> None:
    """Make a veth pair between *network* and the running box *target*; undo it if the box has ended meanwhile."""
    from tinybox.container.network import link_maker

    addresses.lease(paths, network, target.id, request)
    try:
        link_maker.connect(paths.run_directory(target.id), target.state["pid"], network.name)
        hosts_file.announce(paths, target.id, {})
        _add_default_route(paths, target)
    except BaseException:
        _remove_link(paths, target.id, network.name)
        raise
    if target.ends_within(0):
        _remove_link(paths, target.id, network.name)
        raise StateError(f"container {target.id[:12]}", "has just ended")


def _add_default_route(paths: Paths, target: Running) -> None:
    """Give the box a default route over its network of most priority, if one is not internal and it has no such route.

    If the networks have priorities, the route over another network is replaced. The box may just have lost the network
    of its former default route, or got its first network that leads out.
    """
    ends = addresses.endpoints(paths, target.id)
    outward = addresses.way_out(ends)
    if outward is None:
        return
    replace = any(end.priority for end in ends)
    namespace = os.open(f"/proc/{target.state['pid']}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        for gateway in filter(None, (outward.gateway, outward.gateway6)):
            with contextlib.suppress(FileExistsError):  # the box has a default route
                configure(namespace, outward.interface, [], [gateway], replace=replace)
    finally:
        os.close(namespace)


def _remove_link(paths: Paths, container: str, network: str) -> None:
    from tinybox.container.network import endpoints

    endpoints.release(paths, container, network)


def disconnect(paths: Paths, word: str, container_word: str, *, force: bool = False) -> None:
    """Disconnect a container from a network; with *force* it need not be connected, and the network may be gone."""
    container = naming.find(paths, container_word)
    try:
        network = definitions.find(paths, word)
    except StateError:
        if not force:
            raise
        network = definitions.Network(word)
    name = network.name
    with NetworkRequests(paths, container) as present:
        left = [request for request in present.requests if request["name"] != name]
        if len(left) == len(present.requests) and not force:
            raise StateError(f"container {container_word}", f"is not connected to network {name}", "see inspect")
        _remove_link(paths, container, name)
        if state.read(paths, container)["status"] == state.RUNNING:
            with running(paths, container) as target:
                _add_default_route(paths, target)
        present.requests = left
        present.save()
    events.write(paths, events.of_network(network.id, network.name, "disconnect", container))
