"""Handles: the pids and file descriptors of a container, which exist only while its plan is carried out.

Steps are data and are made before. A step that needs a pid or a file descriptor gets this object as an argument and
reads it from there, or stores it there.
"""

from __future__ import annotations

import os

from tinybox.container.process.sync_pipe import SyncPipes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Protocol, Self

    class LinkMaker(Protocol):
        """A process that makes the container's network links: network/link_maker.py, which this file cannot import."""

        def order(self, owner: str, pid: int) -> None:
            """Order the links from process *pid* to the networks of the container with the run directory *owner*."""

        def wait(self) -> None:
            """Wait until the links are made."""

        def dismiss(self) -> None:
            """End the process."""

    class RootServer(Protocol):
        """The process that serves the root of a box: isolation/fuse_overlay.py."""

        def wait(self) -> None:
            """Wait until it has ended, after the mount has."""

    class Relay(Protocol):
        """Pipes in place of a terminal: relay.py, which imports this file."""

        def carry(self, watching: Any) -> None:
            """Copy the program's input and output, in the wait loop *watching*."""

        def close(self) -> None:
            """Close the pipes."""

    class Leaving(Protocol):
        """Detach keys, and what to do when they are typed: detaching.py, which imports this package."""

        told: Callable[[], object]

        def take(self, typed: bytes) -> tuple[bytes, bool]:
            """Return the bytes to pass on, and whether the keys are complete."""

        def go(self) -> None:
            """Go on in the background."""

    class SeccompAgent(Protocol):
        """A process on the host that answers system calls: seccomp_agent.py, which imports this package."""

        def hand_over(self, pid: int, listener: int) -> None:
            """Send the agent the fd on which the calls arrive."""


class Handles:
    """The pids and file descriptors of one container, in the parent; clone3(2) gives the child a copy."""

    def __init__(
        self,
        streams: tuple[int, int, int] = (0, 1, 2),
        *,
        interactive: bool = False,
        folder: str = "",
        kept: int = 0,
        watched: bool = False,
    ) -> None:
        self.streams, self.interactive, self.watched = streams, interactive, watched
        # The numbers of the streams that the program does not get: if tinybox stays, it gets pipes instead of tinybox's
        # terminal, and of pipes and files that its user may not open; see planning/streams.py.
        self.relayed = [number for number, fd in enumerate(streams) if watched and os.isatty(fd)]
        self.relay: Relay | None = None  # the pipes for these streams
        self.unwritten: dict[int, bytes] = {}  # output for the user's streams that they did not take; user_streams.py
        self.leaving: Leaving | None = None  # the detach keys of a terminal, for `exec`
        self.sync = SyncPipes(folder)
        self.dies_with_parent = not folder  # with named pipes (OCI's create), the parent ends before the start
        self.kept = list(range(3, 3 + kept))  # fds that the program gets in addition to 0, 1, 2; see sd_listen_fds(3)
        self.pid = self.pidfd = -1
        self.master, self.terminal = -1, ""  # the parent's end of the container's terminal, and its path in the box
        self.newlines = False  # this terminal passes them on as they are, and tinybox's adds the carriage returns
        self.window = (0, 0)  # (rows, columns) that the terminal begins with, if an attached client's are known
        self.trees: dict[str, int] = {}  # fds of detached mounts that the child will place, by the mount's name
        self.root_server: RootServer | None = None  # only where the kernel refuses overlays
        self.agent: SeccompAgent | None = None  # it answers system calls that the seccomp filter does not decide
        self.trampoline = -1  # fd of the program that executes the box's program, see linux/machine_code/trampoline.py
        self.native = -1  # in the child: fd of the program that stays as PID 1, see linux/machine_code/native_init.py
        self.springboard: int | str = -1  # what execve(2) is called with: that fd, or its path in the box's /proc
        self.cgroup_fd: int | None = None  # the control group of version 2, for clone3(2)
        self.tasks: list[int] = []  # those of version 1: fds of their files ``tasks``, by which the child joins them
        self.namespace_fds: dict[str, int] = {}  # namespaces to join, by kind
        self.for_undo: list[int] = []  # fds that only an undo needs
        self.link_maker: LinkMaker | None = None  # the process that makes the network links, if it runs already

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        """Close all after an error: unlike a command, a Python program that uses tinybox goes on."""
        if error is not None:
            self.close()

    def handed_over(self) -> list[int]:
        """Return the fds of mounts, namespaces and groups that the child needs until it has placed or joined them."""
        return [*self.trees.values(), *self.namespace_fds.values(), *self.tasks]

    def close_trees(self) -> None:
        """Close the parent's copies of the fds of mounts, namespaces and groups, which the child has by then."""
        for fd in self.namespace_fds.values():
            os.close(fd)
        self.namespace_fds.clear()
        self._close_mounts()

    def settle(self) -> None:
        """Close what is needed only until the program runs: the sync pipes, and what only an undo needs."""
        self.sync.close()
        for fd in self.for_undo:
            os.close(fd)
        self.for_undo.clear()

    def close_spare(self) -> None:
        """Close the fds that are of no use after the child's death, and that no undo needs."""
        self._close_mounts()
        self.sync.close()

    def _close_mounts(self) -> None:
        for fd in self.trees.values():
            os.close(fd)
        self.trees.clear()
        for fd in self.tasks:
            os.close(fd)
        self.tasks.clear()
        if self.cgroup_fd is not None:
            os.close(self.cgroup_fd)
            self.cgroup_fd = None
        if self.trampoline >= 0:
            os.close(self.trampoline)
            self.trampoline = -1

    def close(self) -> None:
        """Close every fd that is still open, and end the link maker."""
        self.close_trees()
        self.settle()
        self.dismiss_link_maker()
        self.await_server()
        if self.relay is not None:
            self.relay.close()
        for name in ("pidfd", "master"):
            if getattr(self, name) >= 0:
                os.close(getattr(self, name))
                setattr(self, name, -1)

    def await_server(self) -> None:
        """Wait until the process that serves the root has ended: all that the box wrote is in its files then."""
        if self.root_server is not None:
            self._close_mounts()
            self.root_server.wait()
            self.root_server = None

    def dismiss_link_maker(self) -> None:
        """Stop the link maker process; it will get no more orders."""
        if self.link_maker is not None:
            self.link_maker.dismiss()
            self.link_maker = None
