"""The control group of a container: make and remove it, put processes in, set limits, freeze, thaw and kill.

A group is a directory (mkdir); a process joins it by writing a number to a file; a limit is a number in another
file. Version 2 has one tree for all controllers; if a host has controllers in version 1, the group is in each of these
trees, too. The group stays if tinybox is killed: the next command removes it.

The cost, measured on 2 cores with Linux 6.18: mkdir and rmdir 0.01 ms each. To move another process into a group takes
5 to 20 ms for the first one, because the kernel waits until no fork is running (an RCU grace period), and 0.1 ms for
each later one. A process that moves itself into a group of version 1, by the file ``tasks``, does not wait: 0.1 ms.
CLONE_INTO_CGROUP of version 2 costs nothing. So a group of version 1 is made only if a limit needs it.
"""

from __future__ import annotations

import errno
import os
import time

from tinybox.errors import HostError, StateError, UsageError
from tinybox.isolation.cgroups import files, frozen, killing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from tinybox.isolation.cgroups.files import Setting
    from tinybox.isolation.cgroups.hierarchies import Hierarchies

V2_COUNTED = frozenset({"cpu", "memory", "pids"})  # in version 2 they cost nothing, and `tinybox stats` reads them
PATIENCE = 10.0  # seconds to wait for a process to stop or to end, before this is an error
OUR_ROOM = "tinybox"  # a parent whose topmost name begins so is tinybox's, and is removed with the last group in it
PARENT = "TINYBOX_CGROUP_PARENT"  # the environment variable that names another parent for all containers
ATTEMPTS = 50  # another tinybox may remove the empty parent while this one uses it


def place(container: str, parent: str = "") -> str:
    """Return the name of a container's control group: ``tinybox/ID``, or *parent* or PARENT's value for ``tinybox``.

    *parent* is that of --cgroup-parent, which stays when the container's group is removed, as in docker.
    """
    return f"{parent or os.environ.get(PARENT) or OUR_ROOM}/{container}"


class Cgroup:
    """The control group of one container: *name* (``tinybox/ID``) below the root of each hierarchy that it needs.

    *controllers* are those that its settings use. For an existing group, the name is enough.
    """

    ours: list[str] | None = None  # if an engine has named the group: the directories that tinybox made; see shared.py

    def __init__(self, name: str, hierarchies: Hierarchies, controllers: Iterable[str] = ()) -> None:
        parts = [part for part in name.split("/") if part]
        if not parts or ".." in parts or "." in parts:
            raise UsageError(f"cgroup {name!r}", "this is not a path of a control group", "name it like tinybox/ID")
        self.name = "/".join(parts)
        self.hierarchies = hierarchies
        self.controllers = frozenset(controllers)
        self.made: list[str] | None = None  # the roots of the hierarchies in which `create` has made it, if known

    def __repr__(self) -> str:
        return f"Cgroup({self.name!r}, {sorted(self.controllers)})"

    def directory(self, controller: str) -> str | None:
        """Return the group's path in the hierarchy of *controller*, or None if the host has no such controller."""
        root = self.hierarchies.root(controller)
        return None if root is None else f"{root}/{self.name}"

    def read(self, controller: str, file: str) -> str | None:
        """Return the text of *file* in the hierarchy of *controller*; None if the file or the controller is missing."""
        directory = self.directory(controller)
        return None if directory is None else files.read(f"{directory}/{file}")

    def create(self) -> None:
        """Make the group in every hierarchy that it needs, or in none; see mkdir(2) and cgroups(7).

        In version 2 this enables the controllers in ``cgroup.subtree_control`` from the root down; they stay enabled.
        StateError: the group exists, or is frozen; HostError: the kernel refuses, with the rule that was broken.
        """
        roots = self._needed_roots()
        if not roots:
            raise HostError(f"cgroup {self.name}", "no cgroup file system is mounted on this host", "mount cgroup2")
        frozen.refuse(self._there_before(), self.hierarchies, roots)
        made: list[str] = []
        try:
            for root in roots:
                self._create_below(root)
                made.append(root)
        except FileExistsError as error:
            self._undo(made)
            raise StateError(f"cgroup {self.name}", "it exists already", "use another name, or remove it") from error
        except OSError as error:
            self._undo(roots[: len(made) + 1])
            raise files.refusal(f"cgroup {self.name}", error) from error
        self.made = made

    def apply(self, setting: Setting) -> None:
        """Write one limit; see cgroups(7). HostError: the kernel has no such file, or refuses the value."""
        directory = self.directory(setting.controller)
        try:
            files.write(f"{directory}/{setting.file}", setting.value)
        except OSError as error:
            raise files.refusal(f"{setting.file} = {setting.value}", error) from error

    def open(self, beside: int = 0) -> int | None:
        """Return a close-on-exec fd of the v2 directory for CLONE_INTO_CGROUP (clone3(2), Linux 5.7).

        None on a host without version 2. *beside* is the pid of a process that is in the group; see `files.home_of`.
        """
        if self.hierarchies.unified is None:
            return None
        directory = files.home_of(beside, self.hierarchies.unified, self.name)
        return os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)

    def open_tasks(self) -> list[int]:
        """Return fds of the groups of version 1, by which `enter` joins them; HostError: the kernel refuses."""
        try:
            return files.open_tasks(f"{root}/{self.name}" for root in self._roots() if root != self.hierarchies.unified)
        except OSError as error:
            raise files.refusal(f"cgroup {self.name}", error) from error

    def enter(self, tasks: list[int]) -> None:
        """Move this process into the groups of the fds *tasks*, and close these; see files.enter().

        HostError: the kernel refuses, or a group was removed.
        """
        try:
            files.enter(tasks)
        except OSError as error:
            raise files.refusal(f"cgroup {self.name}", error) from error

    def join(self, pid: int, *, unified: bool = False) -> None:
        """Move the process *pid* into each group of version 1, and with *unified* into that of version 2, too.

        See ``cgroup.procs`` in cgroups(7). The first group takes milliseconds; `enter` does not. ProcessLookupError:
        there is no such process; HostError: the kernel refuses.
        """
        for root in self._roots():
            if root == self.hierarchies.unified and not unified:
                continue
            try:
                files.write(f"{root}/{self.name}/cgroup.procs", str(pid))
            except FileNotFoundError:
                continue  # the group was not made in this hierarchy
            except ProcessLookupError:
                raise
            except OSError as error:
                raise files.refusal(f"cgroup {self.name}", error) from error

    def end(self) -> None:
        """Remove the group; if it has processes, as when a program joined it that was not of the box, kill them before.

        StateError: one stays in state D.
        """
        roots = list(filter(self._made_in, self._roots()))
        if all(files.rmdir(f"{root}/{self.name}") for root in roots):
            for root in roots:
                self._remove_parents(root)
        else:
            self.kill()
            self.remove()

    def remove(self) -> None:
        """Remove the group and the groups below it, and ``tinybox/`` after the last group in it; see rmdir(2).

        It waits for processes that are ending. A group that does not exist is no error; StateError: processes stay.
        """
        deadline = time.monotonic() + PATIENCE
        for root in filter(self._made_in, self._roots()):
            if not files.remove_tree(f"{root}/{self.name}", deadline):
                cause = f"it still holds the processes {self.processes()}"
                raise StateError(f"cgroup {self.name}", cause, "end them first")
            self._remove_parents(root)

    def processes(self) -> list[int]:
        """Return the pids, in this pid namespace, of the processes in the group and the groups below it; cgroups(7)."""
        return files.processes(self.home()) if self.hierarchies.roots() else []

    def kill(self) -> None:
        """Kill every process, also frozen ones (``cgroup.kill``, Linux 5.14); StateError: one stays in state D."""
        if self.hierarchies.roots() and not killing.kill(self, time.monotonic() + PATIENCE):
            raise StateError(f"cgroup {self.name}", f"the processes {self.processes()} do not end")

    def freeze(self) -> None:
        """Stop every process; return when all have stopped; StateError: one does not; ``cgroup.freeze``, Linux 5.2."""
        if not self.hierarchies.roots():
            cure = "be root, or end all boxes and: systemd-run --user --scope -p Delegate=yes COMMAND"
            raise StateError("pause", "this user may make no control group, which freezes processes", cure)
        if not frozen.freeze(self.home(), self.hierarchies, time.monotonic() + PATIENCE):
            self.thaw()
            raise StateError(f"cgroup {self.name}", "its processes do not stop: one waits in the kernel (state D)")

    def thaw(self) -> None:
        """Let the processes continue; a removed group is no error. See ``cgroup.freeze`` in cgroups(7)."""
        frozen.thaw(self.name, self.hierarchies, time.monotonic() + PATIENCE)

    def extend(self) -> None:
        """Make the missing groups of version 1, and move every process of the group into them, too.

        In version 2, enable the controllers that the existing group lacks.
        """
        for root in self._needed_roots():
            directory = f"{root}/{self.name}"
            if not os.path.isdir(directory):
                self._create_below(root)
            elif root == self.hierarchies.unified:
                for above in self._above(root):
                    self._enable_controllers(above)
            while missing := set(self.processes()) - set(files.processes(directory)):  # one may fork now
                for pid in missing:
                    self._move(pid, directory)

    def _move(self, pid: int, directory: str) -> None:
        try:
            files.write(f"{directory}/cgroup.procs", str(pid))
        except ProcessLookupError:
            return

    def frozen(self) -> bool:
        """Return whether all processes of the group are stopped; see ``cgroup.events`` in cgroups(7)."""
        return frozen.is_frozen(self.name, self.hierarchies)

    def refuse_frozen(self) -> None:
        """Raise StateError if the group, or one above it, is frozen: a process in it would not run."""
        frozen.refuse(self.name, self.hierarchies, self._needed_roots())

    def home(self) -> str:
        """Return the directory that has all the processes: that of version 2, or of the freezer of version 1."""
        directory = self.directory("freezer")
        if directory is None:
            raise HostError(f"cgroup {self.name}", "this host has neither cgroup v2 nor the v1 controller freezer")
        return directory

    def _roots(self) -> list[str]:
        """Return the roots of the hierarchies that may have the group."""
        return self.hierarchies.roots() if self.made is None else self.made

    def _there_before(self) -> str:
        """Return the name of the lowest group that may be there before `create`."""
        return self.name.rpartition("/")[0]

    def _needed_roots(self) -> list[str]:
        wanted = {"freezer", *self.controllers}
        roots = {self.hierarchies.root(controller) for controller in wanted}
        return [root for root in self.hierarchies.roots() if root in roots]

    def _undo(self, roots: list[str]) -> None:
        for root in filter(self._made_in, reversed(roots)):
            files.rmdir(f"{root}/{self.name}")
            self._remove_parents(root)

    def _create_below(self, root: str) -> None:
        for attempt in range(ATTEMPTS):
            try:
                self._create_once(root)
                break
            except OSError as error:
                # Another tinybox has just removed the empty parent; a file of a removed group gives ENODEV.
                if error.errno not in (errno.ENOENT, errno.ENODEV) or attempt == ATTEMPTS - 1:
                    raise

    def _create_once(self, root: str) -> None:
        for directory in self._above(root):
            if directory != root:
                files.mkdir(directory)
                self._fill_cpuset(directory, root)
            if root == self.hierarchies.unified:
                self._enable_controllers(directory)
        self._make(f"{root}/{self.name}")
        self._fill_cpuset(f"{root}/{self.name}", root)

    def _above(self, root: str) -> list[str]:
        """Return the directories above the group in the hierarchy at *root*, from the root down."""
        *parents, _ = self.name.split("/")
        return ["/".join([root, *parents[:depth]]) for depth in range(len(parents) + 1)]

    def _make(self, directory: str) -> None:
        os.mkdir(directory)

    def _made_in(self, root: str) -> bool:  # noqa: ARG002  SharedCgroup overrides it
        return True

    def _enable_controllers(self, directory: str) -> None:
        """Enable the controllers for the groups below *directory*, which only version 2 needs; see cgroups(7)."""
        wanted = (V2_COUNTED | self.controllers) & self.hierarchies.v2_controllers
        if not wanted:
            return
        enabled = (files.read(f"{directory}/cgroup.subtree_control") or "").split()
        if missing := sorted(wanted.difference(enabled)):
            files.write(f"{directory}/cgroup.subtree_control", " ".join(f"+{controller}" for controller in missing))

    def _fill_cpuset(self, directory: str, root: str) -> None:
        if root == self.hierarchies.v1.get("cpuset"):
            files.fill_cpuset(directory)

    def _remove_parents(self, root: str) -> None:
        """Remove the empty directories above the group, if they are tinybox's."""
        if "/" in self.name and self.name.startswith(OUR_ROOM):
            files.remove_empty(self._above(root)[:0:-1])
