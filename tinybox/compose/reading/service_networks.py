"""The keys of a service about networks and namespaces: networks, ports, network_mode, pid, ipc, extra_hosts."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from tinybox.compose.reading.document import Field
    from tinybox.compose.reading.service import Service, ServiceContext

_LONG = ("target", "published", "host_ip", "protocol", "mode", "name", "app_protocol")
_ADDRESSES = ("ipv4_address", "ipv6_address", "mac_address")


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
    """Read the networks of a service: a list, or a mapping to aliases and addresses."""
    from tinybox.compose.reading.service import Join

    entries = dict.fromkeys(field.texts()) if isinstance(field.content, list) else field.mapping()
    for name, entry in entries.items():
        if name not in context.networks:
            raise (entry or field).wrong(f"there is no network {name}", f"declare it: networks: {{{name}: }}")
        parts = entry.mapping(("aliases", *_ADDRESSES)) if entry else {}
        aliases = parts["aliases"].texts() if "aliases" in parts else []
        service.joins.append(Join(name, aliases, *(parts[key].text() if key in parts else "" for key in _ADDRESSES)))


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
    """Read names for /etc/hosts: a mapping, or a list of ``NAME=ADDRESS`` and ``NAME:ADDRESS``."""
    if isinstance(field.content, list):
        lines = [text.partition("=" if "=" in text else ":")[::2] for text in field.texts()]
    else:
        lines = [(name, value or "") for name, value in field.pairs().items()]
    service.add("add_host", *(f"{name}:{address}" for name, address in lines))
