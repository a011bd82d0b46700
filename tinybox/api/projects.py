"""Compose projects as objects: what a compose file describes is brought up, looked at, and taken down."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinybox.api import requests
from tinybox.api.containers import Container
from tinybox.api.removable import Removable
from tinybox.compose import builds, down, members, output
from tinybox.compose import project as reading
from tinybox.compose.up import Startup
from tinybox.compose.wishes import ALWAYS, CHANGED, Wishes
from tinybox.container.records.paths import Paths
from tinybox.container.views.log_reader import Selection
from tinybox.images.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tinybox.container.process.wait_loop import Ending
    from tinybox.container.views.log_reader import Entry


def _silent(_: str) -> None:
    """Take no notice of a line about progress."""


class Project(Removable):
    """A compose project; ``str`` of it is its name. Its containers, networks and volumes are found by their labels.

    *files* are compose files, of which a later one overrides an earlier one; without one it is searched from this
    directory upwards, as by `compose`. *name* and *folder* are those of the file if they are left out. With a name and
    no file the project is what has its label. UsageError: a file is wrong; the error names the line.

    A ``with`` block takes the project down at its end, with its volumes, if `up` has found none of its containers.
    """

    def __init__(
        self,
        *files: str,
        name: str = "",
        folder: str = "",
        env_files: Iterable[str] = (),
        profiles: Iterable[str] = (),
        root: str = "",
    ) -> None:
        super().__init__(made=False)
        self._paths, self._profiles = Paths(root), [*profiles]
        try:
            self._project = reading.load(files, name, [*env_files], folder)
        except reading.NoFileError:
            if not name:
                raise
            self._project = reading.bare(name)

    def __str__(self) -> str:
        return self.name

    @property
    def name(self) -> str:
        """Its name."""
        return self._project.name

    @property
    def services(self) -> list[str]:
        """The names of the services in the file."""
        return [*self._project.services]

    def up(
        self,
        *services: str,
        wait: bool = False,
        wait_timeout: float | None = None,
        build: bool = False,
        force_recreate: bool = False,
        scale: Mapping[str, int] | None = None,
    ) -> None:
        """Make and start the containers of *services*, or of all, as ``compose up -d`` does.

        Images of services with a ``build`` key are built if they are missing, or all of them with *build*. With *wait*
        return when all run and are healthy; StateError after *wait_timeout* seconds, or if one cannot be.
        After an error, what this call has made is removed.
        """
        paths, here = requests.changing(self._paths.root)
        found = members.of(paths, self.name)
        chosen = self._project.chosen(services, self._profiles)
        wishes = Wishes(recreate=ALWAYS if force_recreate else CHANGED, named=services, scale=scale)
        self._made = self._made or not found
        make = lambda context, asked, inline: requests.built(paths, context, asked, inline)  # noqa: E731
        builds.build_missing(Store(paths.root), chosen, make, again=build)
        with requests.Starting():
            startup = Startup(paths, here, self._project, chosen, _silent, wishes)
            startup.up(requests.bringer(paths).bring, wait=wait, seconds=wait_timeout)

    def down(self, *, volumes: bool = False, remove_orphans: bool = False, timeout: float | None = None) -> None:
        """Stop and remove its containers and networks, with *volumes* its volumes, too; see ``compose down``.

        With *remove_orphans* also containers of services that are no longer in the file.
        """
        paths, here = requests.changing(self._paths.root)
        down.down(paths, here, self._project, _silent, volumes=volumes, orphans=remove_orphans, seconds=timeout)

    def ps(self, *services: str, all: bool = False) -> list[Container]:  # noqa: A002
        """Return its running containers, or *all*, those of *services* or of every service."""
        found = members.named(self._paths, self._project, services)
        return [Container(listed.id, self._paths) for listed in found if all or listed.is_alive]

    def container(self, service: str, index: int = 0) -> Container:
        """Return the container of *service* with the number *index*, or the first one; StateError if there is none."""
        return Container(members.one(self._paths, self.name, service, index).id, self._paths)

    def exec(self, service: str, *command: str, index: int = 0, **options: Any) -> Ending:
        """Run *command* in a container of *service*, as Container.exec() does."""
        return self.container(service, index).exec(*command, **options)

    def logs(self, *services: str, tail: int | None = None) -> Iterator[tuple[str, Entry]]:
        """Yield the output so far of the containers, in the order of time: the name, as ``web-1``, and the entry.

        ``project.container("web").logs(follow=True)`` follows one of them.
        """
        found = members.named(self._paths, self._project, services)
        for listed, entry in output.merged(self._paths, found, Selection(tail=tail)):
            yield members.short_name(listed), entry

    def _discard(self) -> None:
        self.down(volumes=True, remove_orphans=True)
