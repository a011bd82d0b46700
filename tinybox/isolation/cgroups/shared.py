"""A control group at a path that an engine has chosen (OCI's ``cgroupsPath``), where it also reads the counters.

The engine may have made some of its directories before; tinybox does not remove these. So tinybox's state lists the
directories that tinybox made.
"""

from __future__ import annotations

import os
import time

from tinybox.errors import StateError
from tinybox.isolation.cgroups import files, killing
from tinybox.isolation.cgroups.group import PATIENCE, Cgroup

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from tinybox.isolation.cgroups.hierarchies import Hierarchies


class SharedCgroup(Cgroup):
    """A control group of which tinybox removes only the directories in *ours*: those that it made itself.

    If *ours* is None, these are the directories that do not exist yet.
    """

    def __init__(
        self, name: str, hierarchies: Hierarchies, controllers: Iterable[str] = (), ours: Iterable[str] | None = None
    ) -> None:
        super().__init__(name, hierarchies, controllers)
        everywhere = [f"{root}/{self.name}" for root in hierarchies.roots()]
        self.ours: list[str] = [path for path in everywhere if not os.path.isdir(path)] if ours is None else list(ours)

    def _make(self, directory: str) -> None:
        """Make the directory, or use an existing one; StateError: it has processes."""
        try:
            os.mkdir(directory)
        except FileExistsError as error:
            if pids := files.processes(directory):
                raise StateError(f"cgroup {self.name}", f"it holds processes already: {pids}") from error

    def is_ours(self) -> bool:
        """Return whether tinybox made the group, so that all processes in it are tinybox's."""
        return self.home() in self.ours

    def kill(self) -> None:
        """Kill every process, one by one if the group will stay; StateError: a process does not end.

        After a write to ``cgroup.kill``, some kernels let no child start in this group by CLONE_INTO_CGROUP any more:
        they compare the number of such writes to the group of clone3(2)'s caller with that to the child's group.
        """
        if self.is_ours():
            super().kill()
            return
        deadline = time.monotonic() + PATIENCE
        killing.one_by_one(self, deadline)
        if not killing.wait_until_empty(self, deadline):
            raise StateError(f"cgroup {self.name}", f"the processes {self.processes()} do not end")

    def _enable_controllers(self, directory: str) -> None:
        """Enable all controllers that the kernel allows, also without a limit: engines read their counters."""
        super()._enable_controllers(directory)
        enabled = (files.read(f"{directory}/cgroup.subtree_control") or "").split()
        for controller in sorted(self.hierarchies.v2_controllers.difference(enabled)):
            try:
                files.write(f"{directory}/cgroup.subtree_control", f"+{controller}")
            except OSError:  # such as cpu, if a real-time process is in the root group
                continue

    def _made_in(self, root: str) -> bool:
        return f"{root}/{self.name}" in self.ours

    def _there_before(self) -> str:
        return self.name

    def _needed_roots(self) -> list[str]:
        """Return every hierarchy, because the engine searches for its container in all of them."""
        return self.hierarchies.roots()
