"""From one entry below ``services`` of a compose file to a Service."""

from __future__ import annotations

from tinybox.compose import service_keys
from tinybox.compose.service import Join, Service
from tinybox.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from tinybox.compose.document import Field
    from tinybox.compose.service import ServiceContext


def read(name: str, field: Field, context: ServiceContext) -> Service:
    """Return the service that *field* describes; UsageError names the wrong entry and its line."""
    service = Service(name, field.place)
    service.container = context.container(name)
    entries = field.mapping(service_keys.KEYS)
    for key in sorted(entries, key=lambda key: key == "deploy"):  # last: it is compared with the others
        service_keys.KEYS[key](service, entries[key], context)
    if not service.image:
        cure = "tinybox builds no images: name one with image:" if "build" in entries else "add image:"
        raise entries.get("build", field).wrong("names no image", cure)
    if service.entrypoint is not None:
        first = [*service.entrypoint, *(service.command or [])][:1]
        if not first:
            raise entries["entrypoint"].wrong("leaves nothing to run", "add command:")
        service.options["entrypoint"] = first[0]
    for other in [*service.depends_on]:
        if other not in context.services and other not in service.optional:
            raise entries.get("depends_on", field).wrong(f"there is no service {other}")
    if "network_mode" in entries and "networks" in entries:
        raise entries["network_mode"].wrong("conflicts with networks", "leave one of them out")
    if not service.joins and "network_mode" not in entries:
        service.joins.append(Join("default", []))
    return service


def by_name(services: Mapping[str, Service], name: str) -> Service:
    """Return the service *name*; UsageError if the file has none."""
    if name not in services:
        raise UsageError(f"service {name}", "no such service", f"there are {', '.join(sorted(services)) or 'none'}")
    return services[name]
