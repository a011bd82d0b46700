"""inspect: everything about a network, and a container's `NetworkSettings` (endpoints, ports), with docker's keys."""

from __future__ import annotations

from tinybox.container import connections
from tinybox.container.network import addresses, definitions, making, published_ports
from tinybox.container.records import naming, spec
from tinybox.container.views import host_config
from tinybox.container.views.units import stamp
from tinybox.errors import DamagedError, UsageError
from tinybox.linux import quick_json as json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tinybox.container.network.addresses import Endpoint, EndpointRequest
    from tinybox.container.network.definitions import Network
    from tinybox.container.records.paths import Paths
    from tinybox.container.views.listing import Listed

    JsonObject = dict[str, Any]


def as_dict(paths: Paths, network: Network) -> JsonObject:
    """Return everything about *network*, with the boxes that are connected to it now."""
    both = ((network.subnet, network.gateway), (network.subnet6, network.gateway6))
    pairs: list[JsonObject] = [{"Subnet": subnet, "Gateway": gateway} for subnet, gateway in both if subnet]
    if network.range:
        pairs[0]["IPRange"] = network.range
    if network.reserved:
        pairs[0]["AuxiliaryAddresses"] = network.reserved
    return {
        "Name": network.name,
        "Id": network.id,
        "Created": stamp(network.created),
        "Scope": "local",
        "Driver": network.driver,
        "EnableIPv4": bool(network.subnet),
        "EnableIPv6": bool(network.subnet6),
        "IPAM": {"Driver": "default", "Options": network.ipam_options or None, "Config": pairs},
        "Internal": network.internal,
        "Attachable": network.attachable,
        "Ingress": False,
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": False,
        "Containers": {
            container: _member(paths, container, end) for container, end in making.users(paths) if end.id == network.id
        },
        "Options": {**network.options, "com.docker.network.bridge.name": network.bridge} if network.bridge else {},
        "Labels": network.labels,
    }


def _member(paths: Paths, container: str, end: Endpoint) -> JsonObject:
    return {
        "Name": "".join(naming.of(paths, container)[:1]),
        "EndpointID": end.link,
        "MacAddress": end.mac,
        "IPv4Address": end.address,
        "IPv6Address": end.address6,
    }


def of_container(listed: Listed) -> JsonObject:
    """Return the ``NetworkSettings`` of a container: its endpoints, and its ports."""
    ends = addresses.endpoints(listed.paths, listed.id)
    places = {end.network: _actual_endpoint(listed, end) for end in ends} or {
        want["name"]: _requested_endpoint(listed, want) for want in _requests(listed)
    }
    first = next(iter(places.values()), {})
    keys = (
        "EndpointID",
        "Gateway",
        "IPAddress",
        "IPPrefixLen",
        "GlobalIPv6Address",
        "GlobalIPv6PrefixLen",
        "IPv6Gateway",
        "MacAddress",
    )
    return {
        "Bridge": "",
        "SandboxID": listed.id if listed.is_alive else "",
        "HairpinMode": False,
        "LinkLocalIPv6Address": "",
        "LinkLocalIPv6PrefixLen": 0,
        "SecondaryIPAddresses": None,
        "SecondaryIPv6Addresses": None,
        "SandboxKey": f"/proc/{listed.state['pid']}/ns/net" if listed.is_alive else "",
        "Ports": _ports(listed),
        **{key: first.get(key, 0 if key.endswith("Len") else "") for key in keys},
        "Networks": places,
    }


def _requests(listed: Listed) -> list[EndpointRequest]:
    """Return the networks in which a container without endpoints is, or will be: also docker's ``none`` and ``host``.

    Of a container that runs, only these two: it has left the others.
    """
    try:
        config = spec.load(listed.paths.bundle(listed.id))
    except (UsageError, DamagedError):  # the container was removed during this call, or `inspect` names the damage
        return []
    if spec.NETWORKS in config.get("annotations", {}):
        return [] if listed.is_alive else connections.wanted(config)
    mode = host_config.as_dict(config)["NetworkMode"]
    return [{"name": mode}] if mode in ("none", "host") else []


def names(listed: Listed) -> list[str]:
    """Return the names of the networks that a container is in, or will be in after its next start."""
    return [end.network for end in addresses.endpoints(listed.paths, listed.id)] or [
        want["name"] for want in _requests(listed)
    ]


def _actual_endpoint(listed: Listed, end: Endpoint) -> JsonObject:
    address, _, prefix = end.address.partition("/")
    address6, _, prefix6 = end.address6.partition("/")
    name = "".join(naming.of(listed.paths, listed.id)[:1])
    return {
        "IPAMConfig": None,
        "Links": end.links or None,
        "DriverOpts": None,
        "GwPriority": end.priority,
        "Aliases": end.aliases,
        "DNSNames": [] if end.network == "bridge" else [name, *end.aliases, listed.id[:12]],
        "NetworkID": end.id,
        "EndpointID": end.link,
        "Gateway": "" if end.internal else end.gateway,
        "IPAddress": address,
        "IPPrefixLen": int(prefix or 0),
        "IPv6Gateway": "" if end.internal else end.gateway6,
        "GlobalIPv6Address": address6,
        "GlobalIPv6PrefixLen": int(prefix6 or 0),
        "MacAddress": end.mac,
        "InterfaceName": end.interface,
    }


def _requested_endpoint(listed: Listed, want: EndpointRequest) -> JsonObject:
    requested: JsonObject = {"IPv4Address": want.get("address", ""), "IPv6Address": want.get("address6", "")}
    requested["LinkLocalIPs"] = want.get("link_local")
    return {
        "IPAMConfig": {key: value for key, value in requested.items() if value} or None,
        "Links": want.get("links") or None,
        "DriverOpts": want.get("driver_options"),
        "GwPriority": want.get("priority", 0),
        "DNSNames": None,
        "Aliases": want.get("aliases") or [],
        "NetworkID": definitions.find(listed.paths, want["name"]).id if listed.is_alive else "",
        "EndpointID": "",
        "Gateway": "",
        "IPAddress": "",
        "IPPrefixLen": 0,
        "IPv6Gateway": "",
        "GlobalIPv6Address": "",
        "GlobalIPv6PrefixLen": 0,
        "MacAddress": want.get("mac", ""),
    }


def _ports(listed: Listed) -> dict[str, list[dict[str, str]] | None]:
    """Return the container's exposed and published ports, each with the host's addresses for it, or null."""
    opened: list[str] = json.loads(listed.annotations.get(spec.EXPOSED) or "[]")
    bindings: dict[str, list[dict[str, str]] | None] = dict.fromkeys(opened)
    for port in listed.ports:
        outer = {"HostIp": port["hostIp"] or "0.0.0.0", "HostPort": str(port["hostPort"])}  # noqa: S104  shown only
        bindings[published_ports.inside(port)] = [*(bindings.get(published_ports.inside(port)) or []), outer]
    return bindings
