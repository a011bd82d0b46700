"""Containers as objects: make and find them, and do with them what the commands on one container do.

An object is an id and a store; each property reads the disk and the kernel when it is asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinybox.api import requests
from tinybox.api.inside import Inside
from tinybox.container import control, launch, lifecycle, python_options
from tinybox.container import update as updating
from tinybox.container.config.options import OPTIONS
from tinybox.container.monitor import background, starting
from tinybox.container.process.handles import Handles
from tinybox.container.records.paths import Paths
from tinybox.container.views import listing
from tinybox.errors import UsageError

if TYPE_CHECKING:
    import builtins
    from collections.abc import Iterable
    from typing import Self


class Container(Inside):
    """A container; ``str`` of it is its name.

    Every method raises NoSuchError if it has been removed meanwhile, and StateError if it is not in the state that the
    method needs.
    """

    @classmethod
    def create(cls, image: object, *command: str, root: str = "", **options: Any) -> Self:
        """Make a container of *image* that will run *command*, and do not start it; see docker-create(1).

        *options* are those of ``tinybox run``, as for tinybox.run(). ConflictError: another container has its name.
        """
        return cls._made_by(image, requests.words_of(command), root, options, starts=False)

    @classmethod
    def run(cls, image: object, *command: str, root: str = "", **options: Any) -> Self:
        """Run *command* in a new container of *image* in the background, as ``tinybox run -d`` does; return it.

        If its program cannot be started, the error is raised and the container is removed.
        """
        return cls._made_by(image, requests.words_of(command), root, options, starts=True)

    @classmethod
    def _made_by(
        cls, image: object, command: tuple[str, ...], root: str, given: dict[str, Any], *, starts: bool
    ) -> Self:
        options = requests.options_of(given) | {"detach": starts}
        paths = Paths(root)

        def make() -> lifecycle.Container:
            with Handles() as handles:
                return launch.register(str(image), command, options, handles, root=root, at_once=starts)

        with requests.Starting():
            registered = requests.with_image(root, str(image), options, make)
            made = cls(registered.id, paths, made=True)
            if not starts:
                registered.handles.close()
                registered.record.close()
                return made
            try:
                background.launch(registered)
            except BaseException as error:
                made.__exit__(None, error, None)
                raise
        return made

    @classmethod
    def get(cls, word: str, *, root: str = "") -> Self:
        """Return the container with the name or id *word*; NoSuchError if there is none."""
        paths = Paths(root)
        return cls(listing.find(paths, word).id, paths)

    @classmethod
    def list(cls, *, all: bool = False, filters: Iterable[str] = (), root: str = "") -> builtins.list[Self]:  # noqa: A002
        """Return the running containers, or *all*, the newest first; *filters* as of `ps`: ``["label=shop"]``."""
        from tinybox.container.views.container_filters import ContainerFilter

        paths = Paths(root)
        matches = ContainerFilter(paths, tuple(filters))
        found = listing.containers(paths, at_rest=all or matches.at_rest, is_wanted=matches)
        return [cls(listed.id, paths) for listed in found]

    def start(self) -> None:
        """Start it in the background, if it does not run; see docker-start(1)."""
        paths, here = requests.changing(self._paths.root)
        with requests.Starting():
            starting.start(paths, here, self.id)

    def restart(self, timeout: float | None = None, signal: str = "") -> None:
        """Stop it as `stop` does, and start it again."""
        paths, here = requests.changing(self._paths.root)
        with requests.Starting():
            starting.restart(paths, here, self.id, timeout, signal)

    def stop(self, timeout: float | None = None, signal: str = "") -> None:
        """Send its stop signal, or *signal*, and KILL after *timeout* seconds (None: its own, or 10).

        It does nothing if the container is at rest; see docker-stop(1).
        """
        control.stop(self._paths, self.id, timeout, signal)

    def kill(self, signal: str = "KILL") -> None:
        """Send *signal*, such as ``"HUP"`` or ``"1"``, to its first process; see docker-kill(1)."""
        control.kill(self._paths, self.id, signal)

    def pause(self) -> None:
        """Freeze all of its processes; see docker-pause(1)."""
        control.pause(self._paths, self.id)

    def unpause(self) -> None:
        """Let its processes go on."""
        control.unpause(self._paths, self.id)

    def wait(self) -> int | None:
        """Wait until it ends, and return its exit status; None if that is unknown (its owner was killed)."""
        return control.wait(self._paths, self.id)

    def rename(self, name: str) -> None:
        """Give it another name; ConflictError: a container has that name."""
        control.rename(self._paths, self.id, name)

    def update(self, **options: Any) -> None:
        """Change its limits and its restart policy: ``memory="64m", pids_limit=50``; see docker-update(1).

        All or none of *options* take effect, on a running container at once.
        """
        given = python_options.normal(options)
        if wrong := sorted(given.keys() - {option.key for option in OPTIONS if option.update}):
            raise UsageError(f"option {wrong[0]}", "cannot be changed by update", "tinybox update --help lists them")
        paths, here = requests.changing(self._paths.root)
        updating.update(paths, here, self.id, given)

    def remove(self, *, force: bool = False, volumes: bool = False) -> None:
        """Remove it with all files that it wrote; with *force* also while it runs; see docker-rm(1).

        With *volumes* its anonymous volumes are removed, too.
        """
        paths, here = requests.changing(self._paths.root)
        control.remove(paths, here, self.id, force=force, volumes=volumes)

    def _discard(self) -> None:
        self.remove(force=True, volumes=True)
