"""A control group at a path that somebody else has chosen: an engine, who also looks there for what its box uses.

Others may have made a directory of it before us; what was there stays there. So it is written down which ones are ours.
"""

from __future__ import annotations

import os

from tinybox.errors import StateError
from tinybox.isolation import cgroup_files as files
from tinybox.isolation.cgroup import Cgroup

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from tinybox.isolation.cgroup_hierarchies import Hierarchies


class SharedCgroup(Cgroup):
    """A control group of which only the directories in *ours* are ours to remove: those that were missing before us."""

    def __init__(
        self, name: str, hierarchies: Hierarchies, controllers: Iterable[str] = (), ours: Iterable[str] | None = None
    ) -> None:
        super().__init__(name, hierarchies, controllers)
        everywhere = [f"{root}/{self.name}" for root in hierarchies.roots()]
        self.ours = [path for path in everywhere if not os.path.isdir(path)] if ours is None else list(ours)

    def _make(self, directory: str) -> None:
        """Make the directory, or take it over as it is if nobody is in it; StateError: it holds processes."""
        try:
            os.mkdir(directory)
        except FileExistsError as error:
            if pids := files.processes(directory):
                raise StateError(f"cgroup {self.name}", f"it holds processes already: {pids}") from error

    def _made_in(self, root: str) -> bool:
        return f"{root}/{self.name}" in self.ours

    def _needed_roots(self) -> list[str]:
        """Return every hierarchy: the engine looks for its container in all of them."""
        return self.hierarchies.roots()
