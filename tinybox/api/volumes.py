"""Volumes as objects: directories that outlive containers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinybox.api.removable import Removable
from tinybox.container.records.paths import Paths
from tinybox.container.storage import volumes
from tinybox.container.views import volume_inspection
from tinybox.images.store import Store

if TYPE_CHECKING:
    import builtins
    from collections.abc import Mapping
    from typing import Self


class Volume(Removable):
    """A volume; ``str`` of it is its name, so ``volume=f"{data}:/data"`` mounts it in a container."""

    def __init__(self, name: str, paths: Paths, *, made: bool = False) -> None:
        super().__init__(made=made)
        self.name, self._paths = name, paths

    def __str__(self) -> str:
        return self.name

    @classmethod
    def create(cls, name: str = "", *, labels: Mapping[str, str] | None = None, root: str = "") -> Self:
        """Make the volume *name*, or one with a random name; see `volume create`.

        If there is a volume of this name, it is returned as it is, and a ``with`` block leaves it there.
        """
        paths = Paths(root)
        with Store(paths.root).locked():
            there = {volume.name for volume in volumes.every(paths)}
            found = volumes.create(paths, name, dict(labels or {}))
        return cls(found.name, paths, made=found.name not in there)

    @classmethod
    def get(cls, name: str, *, root: str = "") -> Self:
        """Return the volume *name*; NoSuchError if there is none."""
        paths = Paths(root)
        return cls(volumes.find(paths, name).name, paths)

    @classmethod
    def list(cls, *, root: str = "") -> builtins.list[Self]:
        """Return all volumes, sorted by name."""
        paths = Paths(root)
        return [cls(volume.name, paths) for volume in volumes.every(paths)]

    @property
    def path(self) -> str:
        """Its directory on the host, which only root may open."""
        return volumes.find(self._paths, self.name).path

    @property
    def labels(self) -> dict[str, str]:
        """Its labels."""
        return volumes.find(self._paths, self.name).labels

    def inspect(self) -> dict[str, Any]:
        """Return everything about it, with docker's keys."""
        return volume_inspection.as_dict(volumes.find(self._paths, self.name))

    def remove(self) -> None:
        """Remove it with its files; ConflictError: a container uses it."""
        found = volumes.find(self._paths, self.name)
        with Store(self._paths.root).locked():
            volumes.remove(self._paths, found)

    def _discard(self) -> None:
        self.remove()
