"""What `up` and `down` would change, for --dry-run: the same decisions, and lines about them instead of actions."""

from __future__ import annotations

from tinybox.compose import down as stopping
from tinybox.compose import members, resources
from tinybox.container.network import definitions
from tinybox.container.storage import volumes as store_volumes
from tinybox.errors import ImageError, StateError
from tinybox.images.store import Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from tinybox.compose.members import Say
    from tinybox.compose.project import Project
    from tinybox.compose.reading.service import Service
    from tinybox.compose.up import Startup
    from tinybox.container.records.paths import Paths


def up(startup: Startup, *, build: bool = False) -> None:
    """Print what *startup* would bring, make and start; with *build* all images with a ``build`` key are built."""
    project, paths, say = startup.project, startup.paths, startup.say
    for service in startup.services:
        _image(startup, service, build=build)
    for network in project.used_networks(startup.services):
        if resources.is_outdated(paths, project, network):
            say(f" Network {network.name}  Recreate")
        elif not _is_there(definitions.find, paths, network.name):
            say(f" Network {network.name}  Created")
    for volume in project.volumes.values():
        if not volume.external and not _is_there(store_volumes.find, paths, volume.name):
            say(f" Volume {volume.name}  Created")
    for service in startup.services:
        _containers(startup, service)


def _image(startup: Startup, service: Service, *, build: bool) -> None:
    """Print whether the image of *service* would be built or pulled; note its id if it is here."""
    try:
        startup.images[service.name] = Store(startup.paths.root).image(service.image).id
    except ImageError:
        startup.say(f" Image {service.image}  {'Built' if service.build else 'Pulled'}")
        return
    if service.build and (build or service.pull == "build"):
        startup.say(f" Image {service.image}  Built")
    elif not service.build and service.pull == "always":
        startup.say(f" Image {service.image}  Pulled")


def _containers(startup: Startup, service: Service) -> None:
    """Print what would be done with the containers of *service*."""
    say, count = startup.say, startup.wishes.count(service)
    found = members.of(startup.paths, startup.project.name, [service.name])
    for listed in found[count:]:
        say(f" Container {listed.name}  Removed")
    digest = startup.digest(service) if service.name in startup.images else ""
    for listed in found[:count]:
        if not startup.matches(service, listed, digest):
            say(f" Container {listed.name}  Recreate")
            startup.made.add(listed.name)
        elif listed.is_alive:
            say(f" Container {listed.name}  Running")
            continue
        startup.renewed.add(listed.name)
        if startup.wishes.start:
            say(f" Container {listed.name}  Started")
    taken = {members.number_of(listed) for listed in found[:count]}
    free = [number for number in range(1, count + len(taken) + 1) if number not in taken]
    for number in free[: max(count - len(found), 0)]:
        name = members.container_name(startup.project, service, number)
        say(f" Container {name}  Created")
        if startup.wishes.start:
            say(f" Container {name}  Started")


def _is_there(find: Callable[[Paths, str], object], paths: Paths, name: str) -> bool:
    try:
        find(paths, name)
    except StateError:
        return False
    return True


def down(
    paths: Paths,
    project: Project,
    say: Say,
    *,
    services: Collection[str] = (),
    volumes: bool = False,
    orphans: bool = False,
) -> None:
    """Print what `down` would remove."""
    if services:
        found = members.named(paths, project, services, one_off=True)
    else:
        found = stopping.last_first(paths, project, orphans=orphans or not project.files, say=say)
    for listed in found:
        say(f" Container {listed.name}  Removed")
    for volume in store_volumes.every(paths) if volumes and not services else ():
        if volume.labels.get(members.PROJECT) == project.name:
            say(f" Volume {volume.name}  Removed")
    for network in definitions.every(paths) if not services else ():
        if network.labels.get(members.PROJECT) == project.name:
            say(f" Network {network.name}  Removed")
