"""The networks and volumes of a project: made before its services, removed after them."""

from __future__ import annotations

import hashlib
import json
from functools import partial

from tinybox.compose import members
from tinybox.container.network import definitions, making
from tinybox.container.storage import volumes as store_volumes
from tinybox.errors import StateError, UsageError
from tinybox.images.store import Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import ExitStack
    from typing import Any

    from tinybox.compose.members import Say
    from tinybox.compose.project import Project, Resource
    from tinybox.compose.service import Service
    from tinybox.container.records.paths import Paths


def names(project: Project, service: Service) -> list[str]:
    """Return the networks that *service* is in, by their names in the store."""
    return [project.networks[join.network].name for join in service.joins]


def make(paths: Paths, project: Project, services: list[Service], say: Say, undo: ExitStack) -> None:
    """Make what is missing of the project's networks and volumes; an error if one that is external is not there."""
    for network in project.used_networks(services):
        make_network(paths, project, network, say, undo)
    make_volumes(paths, project, say, undo)


def make_network(paths: Paths, project: Project, network: Resource, say: Say, undo: ExitStack) -> None:
    """Make a network of the project, unless it is there."""
    try:
        definitions.find(paths, network.name)
    except StateError as error:
        if network.external:
            cure = f"tinybox network create {network.name}"
            raise network.field.wrong(f"there is no network {network.name}", cure) from error
        marks = {members.PROJECT: project.name, members.NETWORK: network.key, members.HASH: digest(network)}
        try:
            making.create(paths, network.name, wish(network, network.labels | marks))
        except UsageError as problem:
            raise network.field.wrong(str(problem)) from problem
        undo.callback(making.remove, paths, network.name)
        say(f" Network {network.name}  Created")


def digest(network: Resource) -> str:
    """Return a hash of all that the file says of a network."""
    whole = vars(wish(network, network.labels))
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()


def is_outdated(paths: Paths, project: Project, network: Resource) -> bool:
    """Tell whether a network of the project is there, and was made from other words than those of the file."""
    try:
        labels = definitions.find(paths, network.name).labels
    except StateError:
        return False
    return (
        not network.external
        and labels.get(members.PROJECT) == project.name
        and labels.get(members.HASH) != digest(network)
    )


def wish(network: Resource, labels: dict[str, str]) -> making.NetworkOptions:
    """Return what the file wants of a network: its subnets and gateways, whether a way leads out, its MTU."""
    subnets, gateways = [], []
    ipam = network.entries["ipam"].mapping(("driver", "config")) if "ipam" in network.entries else {}
    for entry in ipam["config"].entries() if "config" in ipam else []:
        parts = entry.mapping(("subnet", "gateway"))
        subnets += [parts["subnet"].text()] if "subnet" in parts else []
        gateways += [parts["gateway"].text()] if "gateway" in parts else []
    options = network.entries["driver_opts"].pairs() if "driver_opts" in network.entries else {}
    return making.NetworkOptions(
        subnets,
        gateways,
        internal=network.flag("internal"),
        ipv6=network.flag("enable_ipv6"),
        labels=labels,
        options={key: value or "" for key, value in options.items()},
    )


def make_volumes(paths: Paths, project: Project, say: Say, undo: ExitStack) -> None:
    """Make the project's volumes, with its labels, unless they are there."""
    for key, volume in project.volumes.items():
        try:
            store_volumes.find(paths, volume.name)
        except StateError as error:
            if volume.external:
                raise volume.field.wrong(
                    f"there is no volume {volume.name}", f"tinybox volume create {volume.name}"
                ) from error
            paths.prepare()
            marks = {members.PROJECT: project.name, members.VOLUME: key}
            store_volumes.create(paths, volume.name, volume.labels | marks)
            undo.callback(remove_volume, paths, volume.name)
            say(f" Volume {volume.name}  Created")


def options(project: Project, service: Service) -> dict[str, Any]:
    """Return the options of ``run`` by which a container is in the networks of *service*, and known there by its name.

    Where the file has a network_mode there is nothing to say.
    """
    if not service.joins:
        return {}
    words = []
    for join in service.joins:
        fields = [f"name={project.networks[join.network].name}"]
        fields += [f"alias={alias}" for alias in dict.fromkeys([service.name, *join.aliases])]
        places = {"ip": join.address, "ip6": join.address6, "mac-address": join.mac}
        fields += [f"{key}={place}" for key, place in places.items() if place]
        words.append(",".join(fields))
    return {"network": words}


def remove(paths: Paths, project: Project, say: Say, *, volumes: bool) -> None:
    """Remove the networks that bear the project's label, and with *volumes* its volumes; what is external stays."""
    ours = (volume for volume in store_volumes.every(paths) if volume.labels.get(members.PROJECT) == project.name)
    for volume in ours if volumes else ():
        _try(f"Volume {volume.name}", partial(remove_volume, paths, volume.name), say)
    for network in definitions.every(paths):
        if network.labels.get(members.PROJECT) == project.name:
            _try(f"Network {network.name}", partial(making.remove, paths, network.name), say)


def _try(what: str, removal: Callable[[], object], say: Say) -> None:
    """Remove what is not in use; what is, an orphan's network or another project's volume, stays, and that is said."""
    try:
        if removal():
            say(f" {what}  Removed")
    except StateError as error:
        say(f" {what}  stays: {error.cause}")


def remove_volume(paths: Paths, name: str) -> bool:
    """Remove the volume *name*; tell whether it was there."""
    with Store(paths.root).locked():
        try:
            volume = store_volumes.find(paths, name)
        except StateError:
            return False
        store_volumes.remove(paths, volume)
    return True
