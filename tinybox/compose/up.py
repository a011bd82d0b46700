"""`compose up`: make and start everything that the compose file describes; containers that match it stay unchanged.

Networks and volumes come first, then the services, each after those that it depends on. If a step fails, everything
that this command has made is removed, the last thing first. If the command is killed, what it has made stays: the next
`up` goes on from there, and `down` removes it.
"""

from __future__ import annotations

import itertools
import time
from contextlib import ExitStack, suppress

from tinybox.compose import conditions, down, granted, hooks, members, refreshing, resources
from tinybox.compose.reading.service import COMPLETED, HEALTHY, STARTED
from tinybox.compose.wishes import CHANGED, NEVER, Wishes
from tinybox.container import control, launch, owning
from tinybox.container.config import defaults
from tinybox.container.monitor import background
from tinybox.container.network import making
from tinybox.container.process.handles import Handles
from tinybox.container.records import state
from tinybox.container.storage.volumes import is_anonymous
from tinybox.container.views import listing, network_inspection
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


class Startup:
    """One `up` of a *project*: its *services*, in order, and the *wishes* of the user about their containers."""

    def __init__(
        self,
        paths: Paths,
        here: Host,
        project: Project,
        services: list[Service],
        say: Say,
        wishes: Wishes | None = None,
    ) -> None:
        self.paths, self.here, self.project, self.services, self.say = paths, here, project, services, say
        self.wishes = wishes or Wishes()
        self.renewed: set[str] = set()  # names of the containers that were started here
        self.begun: set[str] = set()  # their services
        self.made: set[str] = set()  # names of the containers that were made here
        self.images: dict[str, str] = {}  # service to the id of its image

    def up(self, bring: Bring, *, wait: bool = False, seconds: float | None = None) -> None:
        """Bring everything up; with *wait* return when all is running and healthy, StateError after *seconds*."""
        self.find_images(bring)
        with members.alone(self.paths, self.project.name), ExitStack() as undo:
            stopped = self.remove_outdated_networks()
            resources.make(self.paths, self.project, self.services, self.say, undo)
            former = members.of(self.paths, self.project.name)  # one list: each service would read all containers again
            for service in self.services:
                self.bring_up(service, [each for each in former if members.service_of(each) == service.name], undo)
            for listed in stopped if self.wishes.start else ():
                start_again(self.paths, self.here, self.project, listed, self.say)
            if wait:
                self.wait(seconds)
            undo.pop_all()

    def wait(self, seconds: float | None) -> None:
        """Wait until all services are running and healthy; StateError if one cannot be, or is not after *seconds*."""
        began = time.monotonic()
        for service in self.services:
            self.until(service, self.goal(service), seconds, began)

    def find_images(self, bring: Bring) -> None:
        """Get every image into the store before anything is made; ImageError if one is missing and cannot be made.

        Images of services with a ``build`` key were built before.
        """
        brought: set[tuple[str, str]] = set()
        for service in self.services:
            for note in service.notes:
                self.say(f"service {service.name}: {note}")
            policy = refreshing.policy(self.paths.root, service)
            if service.build is None and policy != "never" and (service.image, policy) not in brought:
                bring(service.image, policy, service.options.get("platform", ""))
                brought.add((service.image, policy))
                refreshing.note(self.paths.root, service, policy)
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

    def bring_up(self, service: Service, former: list[Listed], undo: ExitStack) -> None:
        """Make or start the containers of *service*, once the services that it depends on meet their conditions.

        It had the containers *former* when this `up` began; their states are read again.
        """
        if self.wishes.start:
            self.await_dependencies(service)
        former = members.again(self.paths, former)
        count = self.wishes.count(service)
        self.remove_surplus(former[count:])
        digest = self.digest(service)
        for listed in former[:count]:
            if self.matches(service, listed, digest):
                self.start(service, listed)
                continue
            number = members.number_of(listed)
            kept = self.replace(service, digest, number, listed)
            self.create(service, digest, number, undo, kept)
        taken = {members.number_of(listed) for listed in former[:count]}
        free = (number for number in itertools.count(1) if number not in taken)
        for number in itertools.islice(free, max(count - len(former), 0)):
            self.create(service, digest, number, undo, {})

    def await_dependencies(self, service: Service) -> None:
        """Wait until the services that *service* depends on, and that come up here, meet their conditions."""
        for name, condition in service.depends_on.items():
            if name in self.images and condition != STARTED:
                self.say(f" Container {self.project.services[name].container}  Waiting")
                self.until_ready(service, name, condition)

    def remove_surplus(self, containers: list[Listed]) -> None:
        """Stop and remove *containers*: the service has fewer now."""
        down.stop(self.paths, self.project, containers, self.wishes.seconds, lambda _: None)
        for listed in containers:
            control.remove(self.paths, self.here, listed.id, force=True, volumes=False)
            self.say(f" Container {listed.name}  Removed")

    def digest(self, service: Service) -> str:
        """Return the hash of everything that a container of *service* is made from."""
        return members.digest(service, self.images[service.name], resources.names(self.project, service))

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
        policy = self.wishes.recreate(service.name)
        if policy != CHANGED:
            return policy == NEVER
        modes = [service.options.get("ipc"), service.options.get("pid"), *service.options.get("network", [])]
        shared = {str(mode).removeprefix("container:") for mode in modes}
        sources = {word.partition(":")[0] for word in service.options.get("volumes_from", [])}
        is_outdated = shared & self.renewed or sources & self.made
        return listed.labels.get(members.HASH) == digest and not is_outdated

    def start(self, service: Service, listed: Listed) -> None:
        """Start a container that is at rest; restart a running one if a service that it follows was started here."""
        if not self.wishes.start:
            return
        if service.follows & {*self.images} & self.begun:
            control.stop(self.paths, listed.id, self.wishes.seconds)
        if service.name in self.completed() and listed.word == "exited" and listed.state.get("exitCode") == 0:
            return
        container = owning.owned(self.paths, self.here, listed.id)
        if container is None:
            self.say(f" Container {listed.name}  Running")
            return
        self.begin(service, container, listed.name)

    def create(self, service: Service, digest: str, number: int, undo: ExitStack, kept: dict[str, str]) -> None:
        """Make a container of *service*, and start it; it takes over *kept*, a former one's anonymous volumes."""
        resources.make_folders(service)
        options = self.options(service, digest, number)
        try:
            with Handles() as handles:
                container = launch.register(
                    service.image, service.arguments, options, handles, root=self.paths.root, kept=kept
                )
        except UsageError as error:
            raise misused(service, error) from error
        self.made.add(options["name"])
        if not kept:  # an undo would remove these volumes, or leave them without a container
            undo.callback(self.discard, container.id)
        if service.files:
            granted.put(self.paths, container.id, service.files)
        if self.wishes.start:
            self.begin(service, container, options["name"])
            return
        container.handles.close()
        container.record.close()
        self.say(f" Container {options['name']}  Created")

    def options(self, service: Service, digest: str, number: int) -> dict[str, Any]:
        """Return all options of ``run`` for the container *number* of *service*."""
        options = service.options | resources.options(self.project, service)
        options["label"] = [*options.get("label", []), *members.labels(self.project, service, digest, number)]
        options["detach"] = True  # no client is attached to its stdin from the start
        return defaults.applied(options | {"name": members.container_name(self.project, service, number)})

    def begin(self, service: Service, container: Container, name: str) -> None:
        """Start a registered container under a monitor; an error names the service, too."""
        self.renewed.add(name)
        self.begun.add(service.name)
        try:
            background.launch(container)
        except TinyboxError as error:
            raise conditions.failure(service, str(error)) from error
        self.say(f" Container {name}  Started")
        if service.post_start:
            hooks.run(self.paths, service, container.id, "post_start", service.post_start)

    def names(self, service: Service) -> list[str]:
        """Return the names of the containers of *service*."""
        return [listed.name for listed in members.of(self.paths, self.project.name, [service.name])]

    def goal(self, service: Service) -> str:
        """Return the condition of --wait: the service is healthy, has completed, or runs for a moment."""
        if service.name in self.completed():
            return COMPLETED
        has_check = any(listing.find(self.paths, name).health != "none" for name in self.names(service)[:1])
        return HEALTHY if has_check else conditions.SETTLED

    def completed(self) -> set[str]:
        """Return the services whose completion other services wait for: these are meant to end."""
        pairs = (pair for service in self.services for pair in service.depends_on.items())
        return {name for name, condition in pairs if condition == COMPLETED}

    def until(self, service: Service, condition: str, seconds: float | None = None, began: float | None = None) -> None:
        """Wait until *service* meets *condition*; if it does not, print the last lines of its logs."""
        conditions.expect(self.paths, service, self.names(service), condition, self.say, seconds, began)

    def replace(self, service: Service, digest: str, number: int, former: Listed) -> dict[str, str]:
        """Stop and remove the container *former*, which differs; return its anonymous volumes, place to name.

        The new container is planned first, so that a wrong option leaves the former container unchanged.
        """
        resources.make_folders(service)
        try:
            options = self.options(service, digest, number)
            with Handles() as handles:
                launch.prepare(self.paths, self.here, service.image, service.arguments, options, handles)
            handles.close()
        except UsageError as error:
            raise misused(service, error) from error
        control.stop(self.paths, former.id, self.wishes.seconds)
        mounts = [mount for mount in former.mounts() if is_anonymous(mount["Source"])]
        control.remove(self.paths, self.here, former.id, force=True, volumes=False)
        self.say(f" Container {former.name}  Recreate")
        return {} if self.wishes.renew else {mount["Destination"]: mount["Name"] for mount in mounts}

    def discard(self, container: str) -> None:
        """Remove a container that this command has made, unless it is gone already."""
        with suppress(StateError):
            state.read(self.paths, container)
            control.remove(self.paths, self.here, container, force=True, volumes=True)


def start_again(paths: Paths, here: Host, project: Project, listed: Listed, say: Say) -> None:
    """Start a container that is at rest; a running one goes on."""
    container = owning.owned(paths, here, listed.id)
    if container is not None:
        background.launch(container)
        say(f" Container {listed.name}  Started")
        known = project.services.get(members.service_of(listed))
        if known and known.post_start:
            hooks.run(paths, known, listed.id, "post_start", known.post_start)


def misused(service: Service, error: UsageError) -> UsageError:
    """Return *error* about an option of *service*, with the place of the service, for the caller to raise."""
    return UsageError(f"service {service.name} ({service.place})", str(error))
