"""The keys of a service about networks and namespaces: networks, links, ports, network_mode, pid, ipc, extra_hosts."""

from __future__ import annotations

from tinybox.compose.reading.service import Join
from tinybox.text_values import is_whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from tinybox.compose.reading.document import Field
    from tinybox.compose.reading.service import Service, ServiceContext

_LONG = ("target", "published", "host_ip", "protocol", "mode", "name", "app_protocol")
_ADDRESSES = ("ipv4_address", "ipv6_address", "mac_address")
_MORE = ("driver_opts", "gw_priority", "interface_name", "link_local_ips", "priority")
INTERFACE = "com.docker.network.endpoint.ifname"  # docker's name for the option


def ports(service: Service, field: Field, _: ServiceContext) -> None:
    """Translate every entry into a value of --publish: ``[IP:][HOST:]CONTAINER[/PROTOCOL]``."""
    for entry in field.entries():
        service.add("publish", _long(entry) if isinstance(entry.content, dict) else entry.text())


def _long(field: Field) -> str:
    parts = {key: entry.text() for key, entry in field.mapping(_LONG).items()}
    if "target" not in parts:
        raise field.wrong("names no target", "target: 80 is the port in the container")
    address, outside = parts.get("host_ip", ""), parts.get("published", "")
    address = f"[{address}]" if ":" in address and not address.startswith("[") else address
    before = f"{address}:{outside}:" if address else f"{outside}:" * bool(outside)
    return f"{before}{parts['target']}/{parts.get('protocol', 'tcp')}"


def networks(service: Service, field: Field, context: ServiceContext) -> None:
    """Read the networks of a service: a list, or a mapping to aliases, addresses and priorities."""
    entries = dict.fromkeys(field.texts()) if isinstance(field.content, list) else field.mapping()
    for name, entry in entries.items():
        if name not in context.networks:
            raise (entry or field).wrong(f"there is no network {name}", f"declare it: networks: {{{name}: }}")
        service.joins.append(_join(name, entry.mapping(("aliases", *_ADDRESSES, *_MORE)) if entry else {}))
    service.joins.sort(key=lambda join: -join.priority)


def _join(name: str, parts: dict[str, Field]) -> Join:
    aliases = parts["aliases"].texts() if "aliases" in parts else []
    join = Join(name, aliases, *(parts[key].text() if key in parts else "" for key in _ADDRESSES))
    if "priority" in parts:
        join.priority = _whole(parts["priority"])
    if "gw_priority" in parts:
        join.more.append(("gw-priority", str(_whole(parts["gw_priority"]))))
    if "link_local_ips" in parts:
        join.more += [("link-local-ip", address) for address in parts["link_local_ips"].texts()]
    options = parts["driver_opts"].pairs() if "driver_opts" in parts else {}
    if "interface_name" in parts:
        options[INTERFACE] = parts["interface_name"].text()
    join.more += [("driver-opt", f"{key}={value or ''}") for key, value in options.items()]
    return join


def _whole(field: Field) -> int:
    text = field.text()
    if not is_whole(text.removeprefix("-")) or int(text.removeprefix("-")) >= 1 << 31:
        raise field.wrong(f"{text!r} is no whole number")
    return int(text)


def links(service: Service, field: Field, context: ServiceContext) -> None:
    """Read ``SERVICE[:NAME]``: the service comes up first, and this one finds it by NAME, too."""
    for entry in field.entries():
        other, name = entry.text().partition(":")[::2]
        if other not in context.services:
            raise entry.wrong(f"there is no service {other}", "external_links names a container of another project")
        service.needs(other)
        service.links.append((context.container(other), name or other))


def external_links(service: Service, field: Field, _: ServiceContext) -> None:
    """Read ``CONTAINER[:NAME]``: a container of another project that shares a network with this service."""
    for entry in field.entries():
        other, name = entry.text().partition(":")[::2]
        service.links.append((other, name or other))


def namespace(option: str) -> Callable[[Service, Field, ServiceContext], None]:
    """Return the reader of a namespace key; ``service:NAME`` is the namespace of another service's container."""

    def read(service: Service, field: Field, context: ServiceContext) -> None:
        kind, _, name = field.text().partition(":")
        if kind == "service":
            if name not in context.services:
                raise field.wrong(f"there is no service {name}")
            service.needs(name)
            mode = f"container:{context.container(name)}"
        elif option == "network" and kind not in ("none", "host", "container", "bridge"):
            raise field.wrong(f"{kind} is no mode", "none, host, bridge, service:NAME or container:NAME")
        else:
            mode = field.text()
        service.options[option] = [mode] if option == "network" else mode

    return read


def extra_hosts(service: Service, field: Field, _: ServiceContext) -> None:
    """Read names for /etc/hosts into --add-host."""
    service.add("add_host", *host_lines(field))


def host_lines(field: Field) -> list[str]:
    """Return ``NAME:ADDRESS`` lines of a mapping, or of a list of ``NAME=ADDRESS`` and ``NAME:ADDRESS``.

    In a mapping a name may have several addresses.
    """
    if isinstance(field.content, list):
        lines = [text.partition("=" if "=" in text else ":")[::2] for text in field.texts()]
    else:
        lines = [(name, address) for name, entry in field.mapping().items() for address in entry.texts()]
    return [f"{name}:{address}" for name, address in lines]
