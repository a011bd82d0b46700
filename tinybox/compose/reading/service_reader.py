"""From one entry below ``services`` of a compose file to a Service."""

from __future__ import annotations

from tinybox.compose.reading import checked_values, service_keys
from tinybox.compose.reading.service import Join, Service
from tinybox.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from tinybox.compose.reading.document import Field
    from tinybox.compose.reading.service import ServiceContext


def read(name: str, field: Field, context: ServiceContext) -> Service:
    """Return the service that *field* describes; UsageError names the wrong entry and its line."""
    service = Service(name, field.place)
    service.container = context.container(name)
    entries = field.mapping(service_keys.KEYS)
    for key in sorted(entries, key=lambda key: key == "deploy"):  # last: it is compared with the others
        service_keys.KEYS[key](service, entries[key], context)
    if service.build is None and not service.image:
        raise field.wrong("names no image", "add image: or build:")
    if service.build is None and service.pull == "build":
        raise entries["pull_policy"].wrong("build needs the key build", "missing, always or never")
    service.image = service.image or f"{context.name}-{name}"
    _set_entrypoint(service, entries)
    for other in [*service.depends_on]:
        if other not in context.services and other not in service.optional:
            raise entries.get("depends_on", field).wrong(f"there is no service {other}")
    if service.files and service.options.get("read_only"):
        raise entries["read_only"].wrong("lets no secret or config be copied into the box", "file: PATH mounts one")
    if "network_mode" in entries and "networks" in entries:
        raise entries["network_mode"].wrong("conflicts with networks", "leave one of them out")
    if not service.joins and "network_mode" not in entries:
        service.joins.append(Join("default", []))
    checked_values.check(service)
    return service


def _set_entrypoint(service: Service, entries: Mapping[str, Field]) -> None:
    if service.entrypoint is not None:
        first = [*service.entrypoint, *(service.command or [])][:1]
        if not first:
            raise entries["entrypoint"].wrong("leaves nothing to run", "add command:")
        service.options["entrypoint"] = first[0]


def by_name(services: Mapping[str, Service], name: str) -> Service:
    """Return the service *name*; UsageError if the file has none."""
    if name not in services:
        raise UsageError(f"service {name}", "no such service", f"there are {', '.join(sorted(services)) or 'none'}")
    return services[name]
