"""In which order services come up: each after those that it depends on."""

from __future__ import annotations

from tinybox.compose.service_reader import by_name
from tinybox.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tinybox.compose.service import Service


def ordered(services: Mapping[str, Service], wanted: Iterable[str]) -> list[Service]:
    """Return the services *wanted*, with all that they depend on, those that come first first.

    UsageError if a name is unknown, or if services wait for one another in a circle.
    """
    found: dict[str, Service] = {}
    for wish in wanted:
        waiting = {wish: iter(_needs(services, wish))} if wish not in found else {}
        while waiting:  # no recursion: a file may name thousands of services, each waiting for the next
            name = next(reversed(waiting))
            other = next(waiting[name], None)
            if other is None:
                found[name] = services[name]
                del waiting[name]
            elif other in waiting:
                circle = [*waiting]
                line = " -> ".join([*circle[circle.index(other) :], other])
                raise UsageError(f"{services[other].place}: services.{other}", f"services wait for one another: {line}")
            elif other not in found:
                waiting[other] = iter(_needs(services, other))
    return list(found.values())


def _needs(services: Mapping[str, Service], name: str) -> list[str]:
    """Return the services that *name* depends on, but for those that it can do without and that are not there."""
    service = by_name(services, name)
    return [other for other in service.depends_on if other in services or other not in service.optional]
