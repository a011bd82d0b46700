"""`compose up`: make and start everything that the compose file describes; containers that match it stay unchanged.

Networks and volumes come first, then the services, each after those that it depends on. If a step fails, everything
that this command has made is removed, the last thing first. If the command is killed, what it has made stays: the next
`up` goes on from there, and `down` removes it.
"""

from __future__ import annotations

import os
import time
from contextlib import ExitStack, suppress

from tinybox.compose import conditions, down, members, resources
from tinybox.compose.reading.service import COMPLETED, HEALTHY, STARTED
from tinybox.container import control, launch
from tinybox.container.monitor import background
from tinybox.container.network import making
from tinybox.container.process.handles import Handles
from tinybox.container.records import naming, state
from tinybox.container.storage.volumes import is_anonymous
from tinybox.container.views import listing, log_reader, network_inspection
from tinybox.errors import StateError, TinyboxError, UsageError
from tinybox.images.store import Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from tinybox.compose.members import Say
    from tinybox.compose.project import Project
    from tinybox.compose.reading.service import Service
    from tinybox.container.lifecycle import Container
    from tinybox.container.records.host import Host
    from tinybox.container.records.paths import Paths
    from tinybox.container.views.listing import Listed

    Bring = Callable[[str, str, str], object]  # brings an image; the policy is missing or always; then its platform

LAST_LINES = 10  # lines of a failed service's log that are shown


class Startup:
    """One `up` of a *project*: its *services*, in order; *recreate* replaces containers even if they match the file."""

    def __init__(
        self, paths: Paths, here: Host, project: Project, services: list[Service], say: Say, *, recreate: bool = False
    ) -> None:
        self.paths, self.here, self.project, self.services, self.say = paths, here, project, services, say
        self.recreate = recreate
        self.renewed: set[str] = set()  # names of the containers that were started here
        self.made: set[str] = set()  # names of the containers that were made here
        self.images: dict[str, str] = {}  # service to the id of its image

    def up(self, bring: Bring, *, wait: bool = False, seconds: float | None = None) -> None:
        """Bring everything up; with *wait* return when all is running and healthy, StateError after *seconds*."""
        self.find_images(bring)
        with members.alone(self.paths, self.project.name), ExitStack() as undo:
            stopped = self.remove_outdated_networks()
            resources.make(self.paths, self.project, self.services, self.say, undo)
            for service in self.services:
                self.bring_up(service, undo)
            for listed in stopped:
                start_again(self.paths, self.here, listed, self.say)
            began = time.monotonic()
            for service in self.services if wait else ():
                self.until(service, self.goal(service), seconds, began)
            undo.pop_all()

    def find_images(self, bring: Bring) -> None:
        """Get every image into the store before anything is made; ImageError if one is missing and cannot be made.

        Images of services with a ``build`` key were built before.
        """
        brought: set[tuple[str, str]] = set()
        for service in self.services:
            for note in service.notes:
                self.say(f"service {service.name}: {note}")
            if service.build is None and service.pull != "never" and (service.image, service.pull) not in brought:
                bring(service.image, service.pull, service.options.get("platform", ""))
                brought.add((service.image, service.pull))
            self.images[service.name] = Store(self.paths.root).image(service.image).id

    def remove_outdated_networks(self) -> list[Listed]:
        """Remove the project's networks that differ from the file; return the stopped containers of other services.

        Such a network must be recreated, because its properties, such as internal, are fixed when it is made. All
        containers in it are stopped first; those of the services of this `up` are started by `bring_up`.
        """
        stopped = []
        for network in self.project.used_networks(self.services):
            if resources.is_outdated(self.paths, self.project, network):
                found = [each for each in members.of(self.paths, self.project.name)
                         if each.is_alive and network.name in network_inspection.names(each)]  # fmt: skip
                down.stop(self.paths, self.project, down.ranked(self.project, found), None, self.say)
                making.remove(self.paths, network.name)
                self.say(f" Network {network.name}  Recreate")
                stopped += found
        return [each for each in stopped if members.service_of(each) not in self.images]

    def bring_up(self, service: Service, undo: ExitStack) -> None:
        """Make or start the container of *service*, once the services that it depends on meet their conditions."""
        for name, condition in service.depends_on.items():
            if name in self.images and condition != STARTED:
                self.say(f" Container {self.project.services[name].container}  Waiting")
                self.until_ready(service, name, condition)
        digest = members.digest(service, self.images[service.name], resources.names(self.project, service))
        former = members.of(self.paths, self.project.name, [service.name])
        for listed in former:
            if self.matches(service, listed, digest):
                self.start(service, listed)
                return
        kept = self.replace(service, digest, former) if former else {}
        self.create(service, digest, undo, kept)

    def until_ready(self, service: Service, name: str, condition: str) -> None:
        """Wait until the service *name* meets *condition*; if it is optional for *service*, only print its failure."""
        try:
            self.until(self.project.services[name], condition)
        except StateError as error:
            if name not in service.optional:
                raise
            self.say(f"service {service.name}: goes on without {name}: {error}")

    def matches(self, service: Service, listed: Listed, digest: str) -> bool:
        """Return whether a container matches the file and need not follow another container that was changed here.

        A namespace of another container is a new one after its start; its mounts can only change if it is made again.
        """
        modes = [service.options.get("ipc"), service.options.get("pid"), *service.options.get("network", [])]
        shared = {str(mode).removeprefix("container:") for mode in modes}
        sources = {word.partition(":")[0] for word in service.options.get("volumes_from", [])}
        is_outdated = shared & self.renewed or sources & self.made
        return not self.recreate and listed.labels.get(members.HASH) == digest and not is_outdated

    def start(self, service: Service, listed: Listed) -> None:
        """Start a container that is at rest; restart a running one if a service that it follows was started here."""
        if self.renewed & {self.project.services[name].container for name in service.follows & {*self.images}}:
            control.stop(self.paths, listed.id)
        if service.name in self.completed() and listed.word == "exited" and listed.state.get("exitCode") == 0:
            return
        container = launch.owned(self.paths, self.here, listed.id)
        if container is None:
            self.say(f" Container {listed.name}  Running")
            return
        self.begin(service, container)

    def create(self, service: Service, digest: str, undo: ExitStack, kept: dict[str, str]) -> None:
        """Make and start the container of *service*; it takes over *kept*, a former container's anonymous volumes."""
        make_folders(service)
        options = self.options(service, digest)
        try:
            container = launch.register(
                service.image, service.arguments, options, Handles(), root=self.paths.root, kept=kept
            )
        except UsageError as error:
            raise _misused(service, error) from error
        self.made.add(service.container)
        if not kept:  # an undo would remove these volumes, or leave them without a container
            undo.callback(self.discard, container.id)
        self.begin(service, container)

    def options(self, service: Service, digest: str) -> dict[str, Any]:
        """Return all options of ``run`` for the container of *service*."""
        options = service.options | resources.options(self.project, service)
        own = members.labels(self.project, service, digest)
        return options | {"name": service.container, "label": [*options.get("label", []), *own]}

    def begin(self, service: Service, container: Container) -> None:
        """Start a registered container under a monitor; an error names the service, too."""
        self.renewed.add(service.container)
        try:
            background.launch(container)
        except TinyboxError as error:
            raise conditions.failure(service, str(error)) from error
        self.say(f" Container {service.container}  Started")

    def goal(self, service: Service) -> str:
        """Return the condition of --wait: the service is healthy, has completed, or runs for a moment."""
        if service.name in self.completed():
            return COMPLETED
        has_check = listing.find(self.paths, service.container).health != "none"
        return HEALTHY if has_check else conditions.SETTLED

    def completed(self) -> set[str]:
        """Return the services whose completion other services wait for: these are meant to end."""
        pairs = (pair for service in self.services for pair in service.depends_on.items())
        return {name for name, condition in pairs if condition == COMPLETED}

    def until(self, service: Service, condition: str, seconds: float | None = None, began: float | None = None) -> None:
        """Wait until *service* meets *condition*; if it does not, print the last lines of its log."""
        try:
            conditions.wait(self.paths, service, condition, seconds, began)
        except StateError:
            last = log_reader.Selection(tail=LAST_LINES)
            with suppress(TinyboxError):
                batches = log_reader.read(self.paths, naming.find(self.paths, service.container), last)
                said = b"".join(entry.data for batch in batches for entry in batch)
                for line in said.removesuffix(b"\n").split(b"\n") if said else []:
                    self.say(f"{service.name}-1  | {line.decode(errors='replace').rstrip()}")
            raise
        if condition == HEALTHY:
            self.say(f" Container {service.container}  Healthy")

    def replace(self, service: Service, digest: str, former: list[Listed]) -> dict[str, str]:
        """Stop and remove containers that differ from the file; return their anonymous volumes, place to name.

        The new container is planned first, so that a wrong option leaves the former container unchanged.
        """
        make_folders(service)
        try:
            options = self.options(service, digest)
            launch.prepare(self.paths, self.here, service.image, service.arguments, options, Handles())
        except UsageError as error:
            raise _misused(service, error) from error
        kept: dict[str, str] = {}
        for listed in former:
            control.stop(self.paths, listed.id)
            mounts = [mount for mount in listed.mounts() if is_anonymous(mount["Source"])]
            kept |= {mount["Destination"]: mount["Name"] for mount in mounts}
            control.remove(self.paths, self.here, listed.id, force=True, volumes=False)
            self.say(f" Container {listed.name}  Recreate")
        return kept

    def discard(self, container: str) -> None:
        """Remove a container that this command has made, unless it is gone already."""
        with suppress(StateError):
            state.read(self.paths, container)
            control.remove(self.paths, self.here, container, force=True, volumes=True)


def start_again(paths: Paths, here: Host, listed: Listed, say: Say) -> None:
    """Start a container that is at rest; a running one goes on."""
    container = launch.owned(paths, here, listed.id)
    if container is not None:
        background.launch(container)
        say(f" Container {listed.name}  Started")


def make_folders(service: Service) -> None:
    """Make the missing host directories that are to be mounted; a path that exists may be a file."""
    for folder in service.folders:
        if not os.path.exists(folder):
            os.makedirs(folder, exist_ok=True)


def _misused(service: Service, error: UsageError) -> UsageError:
    return UsageError(f"service {service.name} ({service.place})", str(error))
