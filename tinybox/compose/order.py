"""In which order services come up: each after those that it depends on."""

from __future__ import annotations

from tinybox.compose import service as services_of
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

    def visit(name: str, waiting: tuple[str, ...]) -> None:
        if name in waiting:
            circle = " -> ".join([*waiting[waiting.index(name) :], name])
            raise UsageError(f"{services[name].place}: services.{name}", f"services wait for one another: {circle}")
        if name in found:
            return
        service = services_of.by_name(services, name)
        for other in service.depends_on:
            if other in services or other not in service.optional:
                visit(other, (*waiting, name))
        found[name] = service

    for name in wanted:
        visit(name, ())
    return list(found.values())
