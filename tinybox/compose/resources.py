"""The networks and volumes of a project: made before its services, removed after them."""

from __future__ import annotations

from tinybox.compose import members
from tinybox.container import volumes as store_volumes
from tinybox.errors import StateError
from tinybox.images.store import Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from contextlib import ExitStack
    from typing import Any

    from tinybox.compose.members import Say
    from tinybox.compose.project import Project
    from tinybox.compose.service import Service
    from tinybox.container.home import Home


def names(project: Project, service: Service) -> list[str]:
    """Return the networks that *service* is in, by their names in the store."""
    return [project.networks[join.network].name for join in service.joins]


def make(home: Home, project: Project, services: list[Service], say: Say, undo: ExitStack) -> None:  # noqa: ARG001
    """Make what is missing of the project's networks and volumes; StateError if one that is external is not there."""
    make_volumes(home, project, say, undo)


def make_volumes(home: Home, project: Project, say: Say, undo: ExitStack) -> None:
    """Make the project's volumes, with its labels, unless they are there."""
    for key, volume in project.volumes.items():
        try:
            store_volumes.find(home, volume.name)
        except StateError as error:
            if volume.external:
                raise volume.field.wrong(
                    f"there is no volume {volume.name}", f"tinybox volume create {volume.name}"
                ) from error
            home.prepare()
            marks = {members.PROJECT: project.name, members.VOLUME: key}
            store_volumes.create(home, volume.name, volume.labels | marks)
            undo.callback(remove_volume, home, volume.name)
            say(f" Volume {volume.name}  Created")


def options(project: Project, service: Service) -> dict[str, Any]:  # noqa: ARG001
    """Return the options of ``run`` by which the container of *service* is in its first network."""
    return {}


def remove(home: Home, project: Project, say: Say, *, volumes: bool) -> None:
    """Remove the networks that bear the project's label, and with *volumes* its volumes; what is external stays."""
    ours = (volume for volume in store_volumes.every(home) if volume.labels.get(members.PROJECT) == project.name)
    for volume in ours if volumes else ():
        if remove_volume(home, volume.name):
            say(f" Volume {volume.name}  Removed")


def remove_volume(home: Home, name: str) -> bool:
    """Remove the volume *name*; tell whether it was there."""
    with Store(home.root).locked():
        try:
            volume = store_volumes.find(home, name)
        except StateError:
            return False
        store_volumes.remove(home, volume)
    return True
