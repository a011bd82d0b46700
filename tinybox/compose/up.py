"""up: what the file says becomes what there is. What is there already and as it should be is let alone.

Networks and volumes come first, then the services, each after those that it depends on. When something fails, all that
this command has made goes again, last thing first.
"""

from __future__ import annotations

import os
import time
from contextlib import ExitStack, suppress

from tinybox.compose import conditions, down, members, resources
from tinybox.compose.service import COMPLETED, HEALTHY, STARTED
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
    from tinybox.compose.service import Service
    from tinybox.container.lifecycle import Container
    from tinybox.container.records.host import Host
    from tinybox.container.records.paths import Paths
    from tinybox.container.views.listing import Listed

    Bring = Callable[[str, str], object]  # has an image in the store, if it can: by a policy, missing or always

LAST_WORDS = 10  # lines of a failed service's log that are shown


class Ascent:
    """One `up` of a *project*: its *services*, in order; *anew* makes containers anew that need not be."""

    def __init__(
        self, paths: Paths, here: Host, project: Project, services: list[Service], say: Say, *, anew: bool = False
    ) -> None:
        self.paths, self.here, self.project, self.services, self.say = paths, here, project, services, say
        self.anew = anew
        self.renewed: set[str] = set()  # names of the containers that were started here
        self.made: set[str] = set()  # those of them that were made here
        self.images: dict[str, str] = {}  # service to the id of its image

    def up(self, bring: Bring, *, wait: bool = False, seconds: float | None = None) -> None:
        """Bring everything up; with *wait* until all is running and healthy, for at most *seconds*."""
        self.find_images(bring)
        with members.alone(self.paths, self.project.name), ExitStack() as undo:
            asleep = self.remove_outdated_networks()
            resources.make(self.paths, self.project, self.services, self.say, undo)
            for service in self.services:
                self.bring_up(service, undo)
            for listed in asleep:
                start_again(self.paths, self.here, listed, self.say)
            began = time.monotonic()
            for service in self.services if wait else ():
                self.until(service, self.goal(service), seconds, began)
            undo.pop_all()

    def find_images(self, bring: Bring) -> None:
        """Have every image in the store before anything is made; ImageError if one cannot be had."""
        brought: set[tuple[str, str]] = set()
        for service in self.services:
            for note in service.notes:
                self.say(f"service {service.name}: {note}")
            if service.pull != "never" and (service.image, service.pull) not in brought:
                bring(service.image, service.pull)
                brought.add((service.image, service.pull))
            self.images[service.name] = Store(self.paths.root).image(service.image).id

    def remove_outdated_networks(self) -> list[Listed]:
        """Remove the project's networks that are not as the file says; return whom that has stopped, of other services.

        It has to be made anew, for what it is, internal or not, is decided when it is made.
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
        """Have the container of *service* run as the file says, once those it depends on are ready for it."""
        for name, condition in service.depends_on.items():
            if name in self.images and condition != STARTED:
                self.say(f" Container {self.project.services[name].container}  Waiting")
                self.until_ready(service, name, condition)
        digest = members.digest(service, self.images[service.name], resources.names(self.project, service))
        former = members.of(self.paths, self.project.name, [service.name])
        for listed in former:
            if self.is_as_wanted(service, listed, digest):
                self.start(service, listed)
                return
        kept = self.replace(service, digest, former) if former else {}
        self.create(service, digest, undo, kept)

    def until_ready(self, service: Service, name: str, condition: str) -> None:
        """Wait until the service *name* is as *service* needs it; one that is not required may fail, which is said."""
        try:
            self.until(self.project.services[name], condition)
        except StateError as error:
            if name not in service.optional:
                raise
            self.say(f"service {service.name}: goes on without {name}: {error}")

    def is_as_wanted(self, service: Service, listed: Listed, digest: str) -> bool:
        """Tell whether a container is what the file says, and whose namespaces or mounts it has are still there."""
        modes = [service.options.get("ipc"), service.options.get("pid"), *service.options.get("network", [])]
        shared = {str(mode).removeprefix("container:") for mode in modes}
        sources = {word.partition(":")[0] for word in service.options.get("volumes_from", [])}
        is_cut_off = shared & self.renewed or sources & self.made
        return not self.anew and listed.labels.get(members.HASH) == digest and not is_cut_off

    def start(self, service: Service, listed: Listed) -> None:
        """Start a container that is at rest; one that runs goes on, unless it follows one that was started here."""
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
        """Make the container of *service* and start it; the nameless volumes *kept* of a former one go on in it."""
        make_folders(service)
        options = self.options(service, digest)
        try:
            container = launch.register(
                service.image, service.arguments, options, Handles(), root=self.paths.root, kept=kept
            )
        except UsageError as error:
            raise _misused(service, error) from error
        self.made.add(service.container)
        if not kept:  # else what is in them would go, or belong to nobody
            undo.callback(self.discard, container.id)
        self.begin(service, container)

    def options(self, service: Service, digest: str) -> dict[str, Any]:
        """Return all options of ``run`` for the container of *service*."""
        options = service.options | resources.options(self.project, service)
        own = members.labels(self.project, service, digest)
        return options | {"name": service.container, "label": [*options.get("label", []), *own]}

    def begin(self, service: Service, container: Container) -> None:
        """Start a registered container under a monitor; its error is told with the service's name."""
        self.renewed.add(service.container)
        try:
            background.launch(container)
        except TinyboxError as error:
            raise conditions.failure(service, str(error)) from error
        self.say(f" Container {service.container}  Started")

    def goal(self, service: Service) -> str:
        """Return what --wait waits for: health, the end of a job, or that the container runs."""
        if service.name in self.completed():
            return COMPLETED
        has_check = listing.find(self.paths, service.container).health != "none"
        return HEALTHY if has_check else conditions.SETTLED

    def completed(self) -> set[str]:
        """Return the services that others wait for to be done: these are meant to end."""
        pairs = (pair for service in self.services for pair in service.depends_on.items())
        return {name for name, condition in pairs if condition == COMPLETED}

    def until(self, service: Service, condition: str, seconds: float | None = None, began: float | None = None) -> None:
        """Wait until *service* meets *condition*; if it does not, show what it said last."""
        try:
            conditions.wait(self.paths, service, condition, seconds, began)
        except StateError:
            last = log_reader.Selection(tail=LAST_WORDS)
            with suppress(TinyboxError):
                for batch in log_reader.read(self.paths, naming.find(self.paths, service.container), last):
                    for entry in batch:
                        self.say(f"{service.name}-1  | {entry.data.decode(errors='replace').rstrip()}")
            raise
        if condition == HEALTHY:
            self.say(f" Container {service.container}  Healthy")

    def replace(self, service: Service, digest: str, former: list[Listed]) -> dict[str, str]:
        """Stop and remove containers that are not as the file says; return their nameless volumes, place to name.

        Before that what is to come is planned, so that words which cannot be leave the former container as it is.
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
        """Remove what was made in vain, unless it has gone meanwhile."""
        with suppress(StateError):
            state.read(self.paths, container)
            control.remove(self.paths, self.here, container, force=True, volumes=True)


def start_again(paths: Paths, here: Host, listed: Listed, say: Say) -> None:
    """Start a container that is at rest."""
    container = launch.owned(paths, here, listed.id)
    if container is not None:
        background.launch(container)
        say(f" Container {listed.name}  Started")


def make_folders(service: Service) -> None:
    """Make the directories of the host that are to be mounted, where there is nothing: a file is mounted, too."""
    for folder in service.folders:
        if not os.path.exists(folder):
            os.makedirs(folder, exist_ok=True)


def _misused(service: Service, error: UsageError) -> UsageError:
    return UsageError(f"service {service.name} ({service.place})", str(error))
