"""A group below a container's control group, which the container or an engine has made: the place of one exec."""

from __future__ import annotations

import errno
import os

from tinybox.errors import HostError, UsageError
from tinybox.isolation.cgroups import files
from tinybox.isolation.cgroups.group import Cgroup

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def parsed(texts: Sequence[str]) -> dict[str, str]:
    """Return the path below the group for each controller of ``[CONTROLLER[,CONTROLLER...]:]PATH``; "" means all."""
    paths: dict[str, str] = {}
    for text in texts:
        controllers, colon, path = text.partition(":")
        if not colon and len(texts) > 1:
            raise UsageError(f"--cgroup {text}", "has no controller", "CONTROLLER:PATH, if it is given more than once")
        for controller in controllers.split(",") if colon else [""]:
            if colon and not controller:
                raise UsageError(f"--cgroup {text}", "has an empty controller", "CONTROLLER:PATH")
            if controller in paths:
                raise UsageError(f"--cgroup {text}", f"the controller {controller} is given twice")
            paths[controller] = path if colon else text
    for path in paths.values():
        if ".." in path.split("/"):
            raise UsageError(f"--cgroup {path}", "is not a path below the container's control group")
    return paths


class SubGroup(Cgroup):
    """The group at *paths*, by controller, below the *group* of a container; it exists already."""

    def __init__(self, group: Cgroup, paths: Mapping[str, str]) -> None:
        super().__init__(group.name, group.hierarchies, group.controllers)
        self.below = {root: paths[""] for root in self.hierarchies.roots() if self._is_in(root)} if "" in paths else {}
        for controller, path in paths.items():
            if controller:
                self.below[self._root(controller)] = path

    def _is_in(self, root: str) -> bool:
        return os.path.isdir(f"{root}/{self.name}")

    def _root(self, controller: str) -> str:
        root = self.hierarchies.root(controller)
        if root is None or not self._is_in(root):
            raise UsageError(f"--cgroup {controller}", "the container has no group of this controller")
        return root

    def _path(self, root: str) -> str:
        return os.path.normpath(f"{root}/{self.name}/{self.below.get(root, '')}")

    def open(self, beside: int = 0) -> int | None:
        """Return a close-on-exec fd of the directory of version 2, as for a container; see Cgroup.open()."""
        root = self.hierarchies.unified
        if root is None or root not in self.below:
            return super().open(beside)
        try:
            return os.open(self._path(root), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise self._missing(root, error) from error

    def open_tasks(self) -> list[int]:
        """Return fds of the groups of version 1, as for a container; HostError: one of them does not exist."""
        roots = list(filter(self._is_in, dict.fromkeys(self.hierarchies.v1.values())))
        for root in roots:
            if not os.path.isdir(self._path(root)):
                raise self._missing(root, FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)))
        try:
            return files.open_tasks(map(self._path, roots))
        except OSError as error:
            raise files.refusal(f"cgroup {self.name}", error) from error

    def _missing(self, root: str, error: OSError) -> HostError:
        cure = "make it first" if isinstance(error, FileNotFoundError) else ""
        return HostError(f"--cgroup {self.below.get(root, '')}", f"{self._path(root)}: {error.strerror}", cure)
