"""`compose down` and `stop`: stop containers, dependent ones first; `down` removes them, networks and (-v) volumes.

A container is stopped when all containers that depend on it have stopped. Containers that do not depend on one another
are stopped at the same time: ten containers that need ten seconds each need ten seconds in all.
"""

from __future__ import annotations

import threading

from tinybox.compose import members, order, resources
from tinybox.container import control
from tinybox.container.views import listing
from tinybox.errors import ImageError
from tinybox.images import removal
from tinybox.images.store import NO_SUCH, Store

MOST_THREADS = 1000

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from tinybox.compose.members import Say
    from tinybox.compose.project import Project
    from tinybox.container.records.host import Host
    from tinybox.container.records.paths import Paths
    from tinybox.container.views.listing import Listed

AT_REST = ("created", "exited", "dead")
turns = threading.Semaphore(MOST_THREADS)  # how many containers are stopped at the same time; `limit` replaces it


def limit(most: int) -> None:
    """Stop at most *most* containers at the same time from now on (--parallel)."""
    global turns  # noqa: PLW0603  one command is one process
    turns = threading.Semaphore(most)


def down(
    paths: Paths,
    here: Host,
    project: Project,
    say: Say,
    *,
    services: Collection[str] = (),
    volumes: bool = False,
    orphans: bool = False,
    seconds: float | None = None,
) -> None:
    """Stop and remove the containers of *project*, and remove its networks, with *volumes* also its volumes.

    Without *orphans*, containers of services that are no longer in the file stay. With *services*, only their
    containers are removed, with *volumes* also their anonymous volumes.
    """
    everything = orphans or not project.files  # without a file, no container is an orphan
    with members.alone(paths, project.name):
        if services:
            found = ranked(project, members.named(paths, project, services, one_off=True))
        else:
            found = last_first(paths, project, orphans=everything, say=say)
        remove(paths, here, project, found, seconds, say, volumes=volumes)
        if not services:
            resources.remove(paths, project, say, volumes=volumes)


def remove(
    paths: Paths,
    here: Host,
    project: Project,
    containers: list[Listed],
    seconds: float | None,
    say: Say,
    *,
    volumes: bool = False,
) -> None:
    """Stop and remove *containers*, sorted as by `ranked`, with *volumes* also their anonymous volumes."""
    stop(paths, project, containers, seconds, lambda _: None)
    for listed in containers:
        control.remove(paths, here, listed.id, force=True, volumes=volumes)
        say(f" Container {listed.name}  Removed")


def remove_images(paths: Paths, project: Project, services: Collection[str], say: Say, *, local: bool) -> None:
    """Remove the images of the *services* or all, with *local* only those without a name of their own in the file.

    An image that is not here is skipped, and one that a container uses stays, with a line.
    """
    store = Store(paths.root)
    for service in project.services.values():
        if services and service.name not in services:
            continue
        if local and (service.build is None or service.image != f"{project.name}-{service.name}"):
            continue
        try:
            removal.remove(store, service.image)
        except ImageError as error:
            if not error.cause.startswith(NO_SUCH):
                say(f" Image {service.image}  stays: {error.cause}")
            continue
        say(f" Image {service.image}  Removed")


class Stopping(threading.Thread):
    """A thread that stops one container after the threads *before* it have ended; `stop` raises its *error*."""

    def __init__(
        self, paths: Paths, listed: Listed, before: Iterable[Stopping], seconds: float | None, say: Say
    ) -> None:
        super().__init__(daemon=True)
        self.service = members.service_of(listed)
        self._paths, self._listed, self._before, self._seconds, self._say = paths, listed, [*before], seconds, say
        self.error: BaseException | None = None

    def run(self) -> None:
        """Stop the container, unless it is at rest."""
        for other in self._before:
            other.join()
        try:
            with turns:
                if listing.find(self._paths, self._listed.id).word not in AT_REST:
                    control.stop(self._paths, self._listed.id, self._seconds)
                    self._say(f" Container {self._listed.name}  Stopped")
        except BaseException as error:  # noqa: BLE001  `stop` raises it in the calling thread
            self.error = error


def stop(paths: Paths, project: Project, containers: Iterable[Listed], seconds: float | None, say: Say) -> None:
    """Stop *containers*, sorted as by `ranked`: each after those that depend on it, all others at the same time.

    The programs of `pre_stop` run first, one after the other; if one fails, no container is stopped.
    """
    containers, begun = [*containers], list[Stopping]()
    for listed in containers:
        known = project.services.get(members.service_of(listed))
        if known and known.pre_stop and listed.word == "running":
            from tinybox.compose import hooks

            hooks.run(paths, known, listed.id, "pre_stop", known.pre_stop)
    for listed in containers:
        own = members.service_of(listed)
        services = (project.services.get(other.service) for other in begun)
        above = {service.name for service in services if service and own in service.depends_on}
        begun.append(Stopping(paths, listed, [other for other in begun if other.service in above], seconds, say))
        begun[-1].start()
    for each in begun:
        each.join()
    for each in begun:
        if each.error is not None:
            raise each.error


def remove_orphans(paths: Paths, here: Host, project: Project, say: Say) -> None:
    """Stop and remove the containers of services that are no longer in the file."""
    with members.alone(paths, project.name):
        remove(paths, here, project, orphans(paths, project), None, say)


def orphans(paths: Paths, project: Project) -> list[Listed]:
    """Return the containers of services that are not in the file, and those of `compose run` that have ended."""
    found = members.of(paths, project.name, one_off=True)
    return [each for each in found if members.service_of(each) not in project.services
            or (members.is_one_off(each) and each.word in AT_REST)]  # fmt: skip


def last_first(paths: Paths, project: Project, *, orphans: bool, say: Say) -> list[Listed]:
    """Return the project's containers, dependent ones first; without *orphans*, print these and leave them out."""
    found = members.of(paths, project.name, one_off=True)
    outside = [listed.name for listed in found if members.service_of(listed) not in project.services]
    if outside and not orphans:
        say(f"not in the file, and so not removed: {', '.join(outside)} (--remove-orphans removes them)")
        found = [listed for listed in found if members.service_of(listed) in project.services]
    return ranked(project, found)


def ranked(project: Project, containers: Iterable[Listed]) -> list[Listed]:
    """Return *containers* sorted so that each comes after those that depend on it."""
    rank = {service.name: at for at, service in enumerate(order.ordered(project.services, project.services))}
    return sorted(containers, key=lambda listed: -rank.get(members.service_of(listed), len(rank)))
