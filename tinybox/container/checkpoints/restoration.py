"""What a restore needs in addition to a start: the connection to criu, and the descriptors that processes inherit."""

from __future__ import annotations

import contextlib
import os

from tinybox.container.checkpoints import messages, outside
from tinybox.container.checkpoints.criu import RESTORE_LOG, Criu
from tinybox.container.checkpoints.dump import NETWORK
from tinybox.container.planning import mounts as planned_mounts
from tinybox.container.process import init
from tinybox.container.process.plan import Step
from tinybox.errors import HostError, StateError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from tinybox.container.checkpoints.files import Notes
    from tinybox.container.planning.task import Task
    from tinybox.container.records.spec_types import Mount

RESTORED, CONSOLE = "post-restore", "orphan-pts-master"  # notices of criu


class Restoration:
    """What a restore needs in addition to a start: the checkpoint, criu, and the descriptors that processes inherit.

    *folder* has criu's images and *work* gets its log; *staging* is a directory over which the child mounts a tmpfs, in
    its own mount namespace. *options* are fields of criu_opts.
    """

    def __init__(
        self,
        task: Task,
        known: Notes,
        folder: str,
        program: str,
        staging: str,
        *,
        options: dict[str, bool | str],
        work: str = "",
    ) -> None:
        self.task, self.known, self.handles = task, known, task.handles
        self.folder, self.work, self.program, self.staging = folder, work or folder, program, staging
        self.options, self.late = options, list[Step]()
        self.criu: Criu | None = None
        self.directories: list[int] = []  # of the images and of the log: criu opens them in this process
        self.inherited: dict[str, list[int]] = {}  # file descriptors by their keys

    def prepare(self) -> None:
        """Open what the processes inherit, and make the socket to criu; see socketpair(2)."""
        self.criu = Criu(self.program, self.work, RESTORE_LOG)
        for path in (self.folder, self.work):
            self.directories.append(os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
        for key, file in self.known.files.items():
            self._inherit(key, outside.reopened(key, file))
        for key, fd in zip(self.known.streams, self.handles.streams, strict=False):
            if key:
                self._inherit(key, os.dup(fd))
        if self.known.network:
            self._inherit(NETWORK, os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))  # `inherit_network` replaces it
        self.handles.kept += [*self.criu.kept(), *(fd for fds in self.inherited.values() for fd in fds)]

    def _inherit(self, key: str, fd: int) -> None:
        self.inherited.setdefault(key, []).append(fd)

    def inherit_network(self) -> None:
        """Let the container's first process join the network namespace of this process, the child; see setns(2)."""
        for fd in self.inherited.get(NETWORK, ()):
            own = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            os.dup2(own, fd)
            os.close(own)

    def become_criu(self) -> NoReturn:
        """Execute criu in place of the child, with default signals and the inherited descriptors; see execve(2)."""
        for fds in self.inherited.values():
            for fd in fds:
                os.set_inheritable(fd, True)
        init.have_default_signals()
        self._criu().become()

    def await_criu(self) -> None:
        """Wait until the child has executed criu, or raise the error of its steps."""
        self.handles.sync.receive()
        criu = self._criu()
        criu.end.close()
        criu.pidfd = os.dup(self.handles.pidfd)
        self._close_inherited()

    def _close_inherited(self) -> None:
        for fd in [fd for fds in self.inherited.values() for fd in fds]:
            with contextlib.suppress(OSError):
                os.close(fd)
        self.handles.kept.clear()

    def restore(self) -> None:
        """Let criu restore the processes; they are complete, and wait; HostError: criu has failed."""
        criu, handles = self._criu(), self.handles
        criu.ask(messages.RESTORE, self._settings())
        name, fields = criu.hear(RESTORED)
        pid = fields.get(messages.PID)
        if name != RESTORED or not isinstance(pid, int):
            raise HostError("criu", "it did not say which process it has restored")
        os.close(handles.pidfd)
        handles.pid, handles.pidfd = pid, os.pidfd_open(pid)
        handles.master = criu.received.pop(CONSOLE, -1)

    def _settings(self) -> dict[str, messages.Value | list[bytes]]:
        keys = [(key, fd) for key, fds in self.inherited.items() for fd in fds]
        points = [f"mnt[{point}]:{self._source(point)}" for point in self.known.mounts]
        return {
            "images_dir_fd": self.directories[0],
            "work_dir_fd": self.directories[1],
            "root": self.root,
            "inherit_fd": [messages.inherited(key, fd) for key, fd in keys],
            "external": [os.fsencode(point) for point in points],
            "ext_masters": True,
            "manage_cgroups_mode": messages.IGNORE,
            "rst_sibling": True,
            "notify_scripts": True,
            "orphan_pts_master": True,
            **self.options,
        }

    @property
    def root(self) -> str:
        """The path at which the child mounts the container's root file system."""
        return os.path.join(self.staging, "root")

    def numbered(self) -> list[tuple[str, Mount]]:
        """Return the mounts of config.json that come from outside, and their keys; the N-th is placed at STAGING/N."""
        entries = planned_mounts.entries(self.task)
        return [(key, entry) for key, entry in entries.items() if outside.is_made_again(entry)]

    def _source(self, point: str) -> str:
        """Return where the mount that was at *point* is below the staging directory; StateError: there is none."""
        numbered = self.numbered()
        entry = outside.entry_of([each for _, each in numbered], point)
        if entry is None:
            cause = f"the checkpoint has a mount at {point}, and this container has none"
            raise StateError("checkpoint", cause, "restore the container from which it was made, or one like it")
        number = [each for _, each in numbered].index(entry)
        return os.path.normpath(f"{self.staging}/{number}/{os.path.relpath(point, outside.destination(entry))}")

    def resume(self) -> None:
        """Let the processes go on, and set the limits that had to wait for criu's end."""
        criu = self._criu()
        criu.agree()
        criu.hear()
        self.end()
        for step in self.late:
            step.run()

    def end(self) -> None:
        """End criu, whatever it does, and close all that is open for it; a second call does no harm."""
        for fd in self.directories:
            os.close(fd)
        self.directories = []
        self._close_inherited()
        self.inherited = {}
        if self.criu is not None:
            self.criu.kill()
            self.criu = None

    def _criu(self) -> Criu:
        assert self.criu is not None  # noqa: S101  prepare() is the first of its steps
        return self.criu
