"""Plugging a box into one more network, and out again, while it runs or while it rests.

That it belongs there is written into its config.json, so the next start finds it. If it runs, the cable is laid at
once, behind the back of its owner: he gives back whatever the box's list of endpoints names when it ends.
"""

from __future__ import annotations

import contextlib
import os

from tinybox.container import control
from tinybox.container.config import networking
from tinybox.container.network import addresses, definitions, hosts_file
from tinybox.container.records import events, naming, spec, state
from tinybox.errors import StateError
from tinybox.isolation.network.interfaces import Messages, configure
from tinybox.linux import quick_json as json
from tinybox.linux.locks import lock_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

    from tinybox.container.network.addresses import EndpointRequest
    from tinybox.container.network.definitions import Network
    from tinybox.container.records.paths import Paths
    from tinybox.container.records.spec import Spec


class WantedNetworks:
    """The networks that a container is to be in, by its config.json, which nobody else changes meanwhile: flock(2)."""

    def __init__(self, paths: Paths, container: str) -> None:
        self.bundle = paths.bundle(container)
        self._fd = -1

    def __enter__(self) -> Self:
        self._fd = os.open(os.path.join(self.bundle, "config.json"), os.O_RDONLY | os.O_CLOEXEC)
        lock_file(self._fd)
        self.config: Spec = spec.load(self.bundle)
        self.wants: list[EndpointRequest] = wanted(self.config)
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)

    def save(self) -> None:
        """Write them down."""
        self.config.setdefault("annotations", {})[spec.NETWORKS] = json.dumps(self.wants)
        spec.save(self.config, self.bundle)


def wanted(config: Spec) -> list[EndpointRequest]:
    """Return the places in networks that a container with this *config* is to have."""
    wants: list[EndpointRequest] = json.loads(config.get("annotations", {}).get(spec.NETWORKS) or "[]")
    return wants


def connect(paths: Paths, network: Network, word: str, want: EndpointRequest) -> None:
    """Put the container that *word* names into *network*, with an address of its own; StateError if that cannot be."""
    container = naming.find(paths, word)
    networking.check(network, want)
    with WantedNetworks(paths, container) as wishes:
        _check(network, word, wishes)
        if state.read(paths, container)["status"] == state.RUNNING:
            with control.running(paths, container) as target:
                _plug(paths, network, target, want)
        wishes.wants.append(want)
        wishes.save()
    events.emit_of_network(paths, network.id, network.name, "connect", container)


def _check(network: Network, word: str, wishes: WantedNetworks) -> None:
    thing = f"container {word}"
    if network.driver != "bridge":
        raise StateError(thing, f"cannot be connected to {network.name} network", f"--network {network.name} at run")
    if spec.NETWORKS not in wishes.config.get("annotations", {}):
        cause = "has no network of its own that could be connected with another one"
        raise StateError(thing, cause, "it was made with --network none, host or container:")
    if any(want["name"] == network.name for want in wishes.wants):
        raise StateError(thing, f"endpoint already exists in network {network.name}", "disconnect it first")


def _plug(paths: Paths, network: Network, target: control.Running, want: EndpointRequest) -> None:
    """Lay the cable into the running box *target*; one that has ended meanwhile has nothing of it."""
    from tinybox.container.network import link_maker

    messages = Messages()
    addresses.lease(paths, network, target.id, want)
    try:
        link_maker.connect(paths.run_directory(target.id), target.state["pid"], messages, network.name)
        hosts_file.announce(paths, target.id, {})
        _lead_out(paths, target, messages)
    except BaseException:
        _unplug(paths, target.id, network.name)
        raise
    if target.ends_within(0):
        _unplug(paths, target.id, network.name)
        raise StateError(f"container {target.id[:12]}", "has just ended")


def _lead_out(paths: Paths, target: control.Running, messages: Messages) -> None:
    """See that the box has a way out, if any of its networks leads out: it may just have lost or got the only one."""
    way = next((end for end in addresses.endpoints(paths, target.id) if not end.internal), None)
    if way is None:
        return
    namespace = os.open(f"/proc/{target.state['pid']}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        for gateway in filter(None, (way.gateway, way.gateway6)):
            with contextlib.suppress(FileExistsError):  # it has one
                configure(messages, namespace, way.interface, [], [gateway])
    finally:
        os.close(namespace)


def _unplug(paths: Paths, container: str, network: str) -> None:
    from tinybox.container.network import endpoints

    endpoints.release(paths, container, network)


def disconnect(paths: Paths, word: str, container_word: str, *, force: bool = False) -> None:
    """Take a container out of a network it is in, else StateError; with *force* also out of one that is no more."""
    container = naming.find(paths, container_word)
    try:
        network = definitions.find(paths, word)
    except StateError:
        if not force:
            raise
        network = definitions.Network(word)
    name = network.name
    with WantedNetworks(paths, container) as wishes:
        left = [want for want in wishes.wants if want["name"] != name]
        if len(left) == len(wishes.wants) and not force:
            raise StateError(f"container {container_word}", f"is not connected to network {name}", "see inspect")
        _unplug(paths, container, name)
        if state.read(paths, container)["status"] == state.RUNNING:
            with control.running(paths, container) as target:
                _lead_out(paths, target, Messages())
        wishes.wants = left
        wishes.save()
    events.emit_of_network(paths, network.id, network.name, "disconnect", container)
