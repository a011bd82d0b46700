"""A control group at a path that somebody else has chosen: an engine, who also looks there for what its box uses.

Others may have made a directory of it before us; what was there stays there. So it is written down which ones are ours.
"""

from __future__ import annotations

import contextlib
import os
import time

from tinybox.errors import StateError
from tinybox.isolation.cgroups import files
from tinybox.isolation.cgroups.group import PATIENCE, Cgroup

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from tinybox.isolation.cgroups.hierarchies import Hierarchies


class SharedCgroup(Cgroup):
    """A control group of which only the directories in *ours* are ours to remove: those that were missing before us."""

    def __init__(
        self, name: str, hierarchies: Hierarchies, controllers: Iterable[str] = (), ours: Iterable[str] | None = None
    ) -> None:
        super().__init__(name, hierarchies, controllers)
        everywhere = [f"{root}/{self.name}" for root in hierarchies.roots()]
        self.ours = [path for path in everywhere if not os.path.isdir(path)] if ours is None else list(ours)

    def _make(self, directory: str) -> None:
        """Make the directory, or take it over as it is; StateError: somebody is in it, or who comes would freeze."""
        try:
            os.mkdir(directory)
        except FileExistsError as error:
            if pids := files.processes(directory):
                raise StateError(f"cgroup {self.name}", f"it holds processes already: {pids}") from error
            if self.frozen():
                raise StateError(f"cgroup {self.name}", "it is frozen") from error

    def is_ours(self) -> bool:
        """Tell whether it was not there before us, so that whoever is in it is ours."""
        return self._home() in self.ours

    def kill(self) -> None:
        """End every process, in a group that stays one by one; StateError: a process does not end.

        After ``cgroup.kill`` some kernels let no child be born there any more: they compare how often it was written to
        the group of clone3(2)'s caller with the same of CLONE_INTO_CGROUP's.
        """
        if self.is_ours():
            super().kill()
            return
        deadline = time.monotonic() + PATIENCE
        self._kill_one_by_one(deadline)
        if not self._wait_until_empty(deadline):
            raise StateError(f"cgroup {self.name}", f"the processes {self.processes()} do not end")

    def _enable_controllers(self, directory: str) -> None:
        """Offer those that no limit needs, too, as far as the kernel lets us: engines count by them."""
        super()._enable_controllers(directory)
        enabled = (files.read(f"{directory}/cgroup.subtree_control") or "").split()
        for controller in sorted(self.hierarchies.v2_controllers.difference(enabled)):
            with contextlib.suppress(OSError):  # such as that of CPU time, where a real-time process has no group
                files.write(f"{directory}/cgroup.subtree_control", f"+{controller}")

    def _made_in(self, root: str) -> bool:
        return f"{root}/{self.name}" in self.ours

    def _needed_roots(self) -> list[str]:
        """Return every hierarchy: the engine looks for its container in all of them."""
        return self.hierarchies.roots()
