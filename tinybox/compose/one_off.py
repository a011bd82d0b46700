"""`compose run`: a new container of a service beside its usual ones, with another command, after its dependencies."""

from __future__ import annotations

import os
from contextlib import ExitStack

from tinybox.compose import members, resources
from tinybox.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from tinybox.compose.project import Project
    from tinybox.compose.reading.service import Service
    from tinybox.compose.up import Bring, Startup

SLUG = f"{members.PREFIX}slug"


class Changes:
    """What the command line of `compose run` changes in a service: *command* and *entrypoint* replace the service's.

    *added* are values of options of ``run``, which come after the service's own, and *replaced* are in their place.
    With *aliases* other containers find the new one by the names of the service.
    """

    def __init__(
        self,
        command: Sequence[str] = (),
        entrypoint: Sequence[str] = (),
        *,
        name: str = "",
        publish: Sequence[str] = (),
        service_ports: bool = False,
        aliases: bool = False,
        added: dict[str, list[str]] | None = None,
        replaced: dict[str, Any] | None = None,
    ) -> None:
        self.command, self.entrypoint, self.name = list(command), list(entrypoint), name
        self.publish, self.service_ports, self.aliases = list(publish), service_ports, aliases
        self.added, self.replaced = added or {}, replaced or {}

    def options(self, project: Project, service: Service, digest: str) -> dict[str, Any]:
        """Return all options of ``run`` for the new container."""
        identity = os.urandom(32).hex()
        options = service.options | resources.options(project, service, aliases=self.aliases) | self.replaced
        options.pop("restart", None)  # it runs once
        if self.publish or not self.service_ports:
            options.pop("publish", None)
        own = [*members.labels(project, service, digest, one_off=True), f"{SLUG}={identity}"]
        added = {**self.added, "publish": self.publish, "label": [*own, *self.added.get("label", [])]}
        for key, values in added.items():
            if values:
                options[key] = [*options.get(key, []), *values]
        options["name"] = self.name or f"{project.name}-{service.name}-run-{identity[:12]}"
        if self.entrypoint:
            options["entrypoint"] = self.entrypoint[0]
        return options

    def arguments(self, service: Service) -> list[str]:
        """Return the arguments after the image on the command line of ``run``."""
        if self.entrypoint:
            return [*self.entrypoint[1:], *self.command]
        if not self.command:
            return service.arguments
        return [*(service.entrypoint or [])[1:], *self.command]


def prepare(startup: Startup, service: Service, bring: Bring) -> None:
    """Start what *service* depends on, and wait for it; make its networks and volumes.

    *startup* has the services that *service* depends on. UsageError if there are none to start and it shares a
    namespace with one.
    """
    dependencies, startup.services = startup.services, [service]
    startup.find_images(bring)
    startup.services = dependencies
    if dependencies:
        startup.up(bring)
        startup.await_dependencies(service)
    with members.alone(startup.paths, startup.project.name), ExitStack() as undo:
        resources.make(startup.paths, startup.project, [service], startup.say, undo)
        undo.pop_all()


def mounted(project: Project, words: Sequence[str]) -> list[str]:
    """Return values of -v: a volume of the file has its name in the store, and a path is absolute."""
    found = []
    for word in words:
        source, colon, rest = word.partition(":")
        if colon and source in project.volumes:
            source = project.volumes[source].name
        elif colon and source.startswith((".", "~")):
            source = os.path.abspath(os.path.expanduser(source))
        if not rest and colon:
            raise UsageError(f"-v {word}", "has no place in the container", "-v SOURCE:/PLACE")
        found.append(f"{source}{colon}{rest}")
    return found
