"""The networks and volumes of a project: made before its services start, removed after its containers."""

from __future__ import annotations

import hashlib
import json
import os
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
    from tinybox.compose.project import Project
    from tinybox.compose.reading.declared import Resource
    from tinybox.compose.reading.service import Service
    from tinybox.container.records.paths import Paths


def names(project: Project, service: Service) -> list[str]:
    """Return the networks that *service* is in, by their names in the store."""
    return [project.networks[join.network].name for join in service.joins]


def make(paths: Paths, project: Project, services: list[Service], say: Say, undo: ExitStack) -> None:
    """Make the missing networks and volumes of the project; UsageError if an external one is missing.

    *undo* receives the functions that remove them again.
    """
    for network in project.used_networks(services):
        make_network(paths, project, network, say, undo)
    make_volumes(paths, project, say, undo)


def make_network(paths: Paths, project: Project, network: Resource, say: Say, undo: ExitStack) -> None:
    """Make a network of the project, unless it exists."""
    try:
        definitions.find(paths, network.name)
    except StateError as error:
        if network.external:
            cure = f"tinybox network create {network.name}"
            raise network.field.wrong(f"there is no network {network.name}", cure) from error
        marks = {members.PROJECT: project.name, members.NETWORK: network.key, members.HASH: digest(network)}
        try:
            making.create(paths, network.name, network_options(network, network.labels | marks))
        except UsageError as problem:
            raise network.field.wrong(str(problem)) from problem
        undo.callback(making.remove, paths, network.name)
        say(f" Network {network.name}  Created")


def digest(network: Resource) -> str:
    """Return a hash of all entries of a network in the file."""
    whole = vars(network_options(network, network.labels))
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()


def is_outdated(paths: Paths, project: Project, network: Resource) -> bool:
    """Return whether a network of the project exists, and was made from other entries than those in the file."""
    try:
        labels = definitions.find(paths, network.name).labels
    except StateError:
        return False
    return (
        not network.external
        and labels.get(members.PROJECT) == project.name
        and labels.get(members.HASH) != digest(network)
    )


def network_options(network: Resource, labels: dict[str, str]) -> making.NetworkOptions:
    """Return the options of a network in the file: subnets, gateways, internal, IPv6, and the driver's (MTU)."""
    subnets, gateways, ranges, reserved = [], [], list[str](), dict[str, str]()
    ipam = network.entries["ipam"].mapping(("driver", "config", "options")) if "ipam" in network.entries else {}
    for entry in ipam["config"].entries() if "config" in ipam else []:
        parts = entry.mapping(("subnet", "gateway", "ip_range", "aux_addresses"))
        subnets += [parts["subnet"].text()] if "subnet" in parts else []
        gateways += [parts["gateway"].text()] if "gateway" in parts else []
        ranges += [parts["ip_range"].text()] if "ip_range" in parts else []
        if "aux_addresses" in parts:
            reserved |= {name: address or "" for name, address in parts["aux_addresses"].pairs().items()}
    return making.NetworkOptions(
        subnets,
        gateways,
        ranges=ranges,
        reserved=reserved,
        internal=network.flag("internal"),
        ipv6=network.flag("enable_ipv6"),
        labels=labels,
        options=network.options,
    )


def make_volumes(paths: Paths, project: Project, say: Say, undo: ExitStack) -> None:
    """Make the project's volumes, with its labels, unless they exist."""
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
            store_volumes.create(paths, volume.name, volume.labels | marks, volume.options)
            undo.callback(remove_volume, paths, volume.name)
            say(f" Volume {volume.name}  Created")


def make_folders(service: Service) -> None:
    """Make the missing host directories that are to be mounted; a path that exists may be a file."""
    for folder in service.folders:
        if not os.path.exists(folder):
            os.makedirs(folder, exist_ok=True)


def options(project: Project, service: Service, *, aliases: bool = True) -> dict[str, Any]:
    """Return the --network options of ``run`` for the networks of *service*; its name is an alias in each of them.

    With a network_mode in the file there are none. Without *aliases*, the container has only its own name.
    """
    if not service.joins:
        return {}
    names = ((join, project.networks[join.network].name) for join in service.joins)
    return {"network": [join.value(name, service, aliases=aliases) for join, name in names]}


def remove(paths: Paths, project: Project, say: Say, *, volumes: bool) -> None:
    """Remove the networks with the project's label, with *volumes* also its volumes; external ones have no label."""
    own = (volume for volume in store_volumes.every(paths) if volume.labels.get(members.PROJECT) == project.name)
    for volume in own if volumes else ():
        _try(f"Volume {volume.name}", partial(remove_volume, paths, volume.name), say)
    for network in definitions.every(paths):
        if network.labels.get(members.PROJECT) == project.name:
            _try(f"Network {network.name}", partial(making.remove, paths, network.name), say)


def _try(title: str, removal: Callable[[], object], say: Say) -> None:
    """Call *removal*, and print the result; an orphan's network, or a volume in use by another project, stays."""
    try:
        if removal():
            say(f" {title}  Removed")
    except StateError as error:
        say(f" {title}  stays: {error.cause}")


def remove_volume(paths: Paths, name: str) -> bool:
    """Remove the volume *name*; return whether it existed."""
    with Store(paths.root).locked():
        try:
            volume = store_volumes.find(paths, name)
        except StateError:
            return False
        store_volumes.remove(paths, volume)
    return True
