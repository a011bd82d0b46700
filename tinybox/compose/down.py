"""down: what `up` has made goes again, containers first, then networks, and volumes where that is asked for."""

from __future__ import annotations

from tinybox.compose import members, order, resources
from tinybox.container import control

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinybox.compose.members import Say
    from tinybox.compose.project import Project
    from tinybox.container.home import Home
    from tinybox.container.host import Host
    from tinybox.container.listing import Listed


def down(
    home: Home,
    here: Host,
    project: Project,
    say: Say,
    *,
    volumes: bool = False,
    orphans: bool = False,
    seconds: float | None = None,
) -> None:
    """Remove all that *project* has: containers, networks, with *volumes* also its volumes.

    *orphans* are containers of services that the file does not have any more.
    """
    everything = orphans or not project.files  # without a file there is nobody who is not in it
    with members.alone(home, project.name):
        for listed in last_first(home, project, orphans=everything, say=say):
            control.stop(home, listed.id, seconds)
            control.remove(home, here, listed.id, force=True, volumes=volumes)
            say(f" Container {listed.name}  Removed")
        resources.remove(home, project, say, volumes=volumes)


def remove_orphans(home: Home, here: Host, project: Project, say: Say) -> None:
    """Remove the containers of services that the file does not have any more."""
    with members.alone(home, project.name):
        for listed in members.of(home, project.name):
            if members.service_of(listed) not in project.services:
                control.stop(home, listed.id)
                control.remove(home, here, listed.id, force=True, volumes=False)
                say(f" Container {listed.name}  Removed")


def last_first(home: Home, project: Project, *, orphans: bool, say: Say) -> list[Listed]:
    """Return the project's containers, those first on which no other depends; without *orphans* these are named."""
    rank = {service.name: at for at, service in enumerate(order.ordered(project.services, project.services))}
    found = members.of(home, project.name)
    strange = [listed.name for listed in found if members.service_of(listed) not in rank]
    if strange and not orphans:
        say(f"not in the file, and so left: {', '.join(strange)} (--remove-orphans removes them)")
        found = [listed for listed in found if members.service_of(listed) in rank]
    return sorted(found, key=lambda listed: -rank.get(members.service_of(listed), len(rank)))
