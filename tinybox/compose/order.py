"""The order in which services come up: each after those that it depends on (depends_on)."""

from __future__ import annotations

from tinybox.compose.reading.service_reader import by_name
from tinybox.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tinybox.compose.reading.service import Service


def ordered(services: Mapping[str, Service], names: Iterable[str]) -> list[Service]:
    """Return the services *names* and all that they depend on, in the order in which they must come up.

    UsageError if a name is unknown, or if services wait for one another in a circle.
    """
    found: dict[str, Service] = {}
    for first in names:
        waiting = {first: iter(_needs(services, first))} if first not in found else {}
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
    """Return the services that *name* depends on, without optional ones (required: false) that do not exist."""
    service = by_name(services, name)
    return [other for other in service.depends_on if other in services or other not in service.optional]
