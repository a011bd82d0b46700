"""Convert --network, --ip, --publish, --expose, --dns and --add-host to annotations; mount /etc/hosts and its like."""

from __future__ import annotations

from tinybox.container.config import network_option
from tinybox.container.config.request import users
from tinybox.container.network import BRIDGE
from tinybox.container.records import spec
from tinybox.errors import UnfitValueError, UsageError
from tinybox.linux import quick_json as json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tinybox.container.config.options import Options
    from tinybox.container.config.request import Request
    from tinybox.container.network.addresses import EndpointRequest
    from tinybox.container.network.definitions import Network
    from tinybox.container.network.published_ports import Port
    from tinybox.container.records.spec_types import Mount

_OF_FIRST = {"address": "ip", "address6": "ip6", "mac": "mac_address", "link_local": "link_local_ip"}
ETC = {"/etc/hosts": "hosts", "/etc/hostname": "hostname", "/etc/resolv.conf": "resolv.conf"}


def for_networks(request: Request) -> dict[str, str]:
    """Return the annotations for networks, ports and host names; UsageError names the option that is wrong."""
    made: dict[str, str] = {}
    if request.modes["network"] == BRIDGE:
        made[spec.NETWORKS] = json.dumps(_wants(request))
    else:
        _refuse_endpoint_options(request)
    opened, published = _ports(request)
    if opened:
        made[spec.EXPOSED] = json.dumps(opened)
    if any(":" in port["hostIp"] for port in published):
        _refuse_unreachable(request, published)
    if published:
        made[spec.PORTS] = json.dumps(published)
    known = _names(request.options)
    if known:
        made[spec.NAMES] = json.dumps(known)
    return made


def _wants(request: Request) -> list[EndpointRequest]:
    """Return the requested endpoints, one for each network; --ip and its like hold for the first network."""
    options = request.options
    wants: list[EndpointRequest] = []
    for word in network_option.requested(options):
        want = network_option.fields(word)
        want["name"] = request.network(want["name"]).name
        if any(want["name"] == other["name"] for other in wants):
            raise UsageError(f"--network {word}", "is asked for twice", "once is enough")
        wants.append(want)
    first = wants[0]
    first["aliases"] = [*first.get("aliases", []), *(options.get("network_alias") or [])]
    for key, option in _OF_FIRST.items():
        if options.get(option):
            first[key] = options[option]  # type: ignore[literal-required]
    for text in options.get("link") or ():
        first.setdefault("links", []).append(network_option.link(text))
    for want in wants:
        check(request.network(want["name"]), want)
    return wants


def check(network: Network, want: EndpointRequest) -> None:
    """Raise UsageError for an endpoint that *network* cannot give; `addresses.lease` refuses addresses in use."""
    if network.is_predefined:
        for key, option, feature in (
            ("address", "ip", "user specified IP address"),
            ("address6", "ip6", "user specified IP address"),
            ("aliases", "network-alias", "network-scoped alias"),
            ("links", "link", "a link"),
        ):
            if want.get(key):
                cure = "tinybox network create NAME, and --network NAME"
                error = UsageError if key == "aliases" else UnfitValueError
                raise error(f"--{option}", f"{feature} is supported for user-defined networks only", cure)
    if any(want.get(key) for key in want.keys() - {"name"}):
        from tinybox.container.config import network_checks

        network_checks.check(network, want)


def _refuse_endpoint_options(request: Request) -> None:
    """Raise UsageError for options that have a meaning only in a network with a bridge."""
    chosen = request.modes["network"]
    shared = chosen.startswith("container:")
    refused = {"ip": "IP address", "ip6": "IP address", "network_alias": "network-scoped alias", "mac_address": ""}
    refused |= {"link_local_ip": "link-local IP address", "link": ""}
    if shared:
        refused |= {"dns": "", "dns_search": "", "dns_option": "", "add_host": "custom host-to-IP mapping"}
        refused |= {"publish": "port publishing", "publish_all": "port publishing", "expose": "port exposing"}
    given = _endpoint_options(request.options)
    for key, feature in refused.items():
        if given.get(key):
            option = key.replace("_", "-")
            cause = f"conflicting options: {feature or option} and the network mode {chosen}"
            error = UsageError if key == "network_alias" else UnfitValueError
            raise error(f"--{option}", cause, "leave one of them out")


def _endpoint_options(options: Options) -> dict[str, Any]:
    """Return *options* with those that the long form of --network gives; UsageError: a value cannot be read."""
    for text in options.get("link") or ():
        network_option.link(text)
    if options.get("mac_address"):
        from tinybox.container.config import network_checks

        network_checks.check_mac(options["mac_address"])
    want = network_option.fields(network_option.requested(options)[0])
    long_form = _OF_FIRST | {"aliases": "network_alias", "links": "link"}
    return {**options, **{long_form[key]: value for key, value in want.items() if key in long_form}}


def _ports(request: Request) -> tuple[list[str], list[Port]]:
    """Return the exposed and the published ports; without a bridge none are published (in the host's all are open)."""
    options, declared = request.options, request.image.config.get("ExposedPorts") or {}
    if not (options.get("publish") or options.get("expose") or declared):
        return [], []
    from tinybox.container.config import port_option

    opened = port_option.exposed([*declared, *(options.get("expose") or ())])
    published = port_option.ports(options.get("publish") or ())
    if options.get("publish_all"):
        published += port_option.all_of(published, opened)
    if request.modes["network"] != BRIDGE:
        return opened, []
    binding = _binding(request) if published else ""
    return opened, [{**port, "hostIp": port["hostIp"] or binding} for port in published]


def _binding(request: Request) -> str:
    """Return the host's address for ports that are published without one, by the options of the first network."""
    name = network_option.fields(network_option.requested(request.options)[0])["name"]
    return request.network(name).options.get("com.docker.network.bridge.host_binding_ipv4", "")


def _refuse_unreachable(request: Request, published: list[Port]) -> None:
    """Raise UsageError for a port published at an IPv6 address from which no packet can reach the box."""
    from tinybox.container.network import published_ports

    has_six = any(request.network(want["name"]).subnet6 for want in _wants(request))
    for port in published:
        option = f"--publish {published_ports.outside(port)}:{published_ports.inside(port)}"
        if port["hostIp"] == "::1":
            raise UnfitValueError(option, "the kernel lets no packet from ::1 leave for a box", "127.0.0.1 or [::]")
        if ":" in port["hostIp"] and not has_six:
            cure = "tinybox network create --ipv6 NAME, and --network NAME"
            raise UnfitValueError(option, "the box has no IPv6 address", cure)


def _names(options: Options) -> dict[str, list[str]]:
    """Return the values of --dns, its like and --add-host, with the keywords of resolv.conf(5) as keys."""
    if not any(options.get(key) for key in ("dns", "dns_search", "dns_option", "add_host")):
        return {}
    from tinybox.container.config import network_checks

    return network_checks.names(options)


def etc(request: Request) -> list[Mount]:
    """Return the mounts of /etc/hosts, /etc/hostname and /etc/resolv.conf.

    They are the box's own files in the bundle, or those of the container whose network it shares.
    """
    other = request.modes["network"].partition("container:")[2]
    pid = request.find_joined(other) if other else None
    # The mounts of a box in a user namespace are idmapped, which cannot be done twice
    maps = request.maps_mounts and not (other and users(f"container:{other}", request.find_pid) != "host")
    options = ["rbind", "rprivate", *(["idmap"] * maps)]
    made: list[Mount] = []
    for path, name in ETC.items():
        source = name if pid is None else f"/proc/{pid}/root{path}"  # name: a file in the bundle
        made.append({"destination": path, "type": "bind", "source": source, "options": options})
    return made
