"""What only becomes known while a plan is carried out: process numbers and file descriptors.

Steps are data made beforehand; those that need a pid or an fd are given this object, and find it here.
"""

from __future__ import annotations

import os

from tinybox.container.process.sync_pipe import SyncPipes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    class LinkMaker(Protocol):
        """A process that makes the container's network links: container/network/link_maker.py, above this room."""

        def order(self, owner: str, pid: int) -> None:
            """Let it make the links of the container with the run directory *owner*."""

        def wait(self) -> None:
            """Wait until it has made them."""

        def dismiss(self) -> None:
            """Let it end."""

    class Relay(Protocol):
        """Pipes in the place of a terminal: relay.py, which imports this file."""

        def carry(self, watching: Any) -> None:
            """Carry what the program writes and reads, in the wait loop *watching*."""

        def close(self) -> None:
            """Close the pipes."""

    class SeccompAgent(Protocol):
        """A process that answers system calls: seccomp_agent.py, which imports this file."""

        def hand_over(self, pid: int, listener: int) -> None:
            """Send it the fd on which the calls arrive."""


class Handles:
    """The moving parts of one container, in the parent; the child gets its copy of it by clone3(2)."""

    def __init__(
        self,
        streams: tuple[int, int, int] = (0, 1, 2),
        *,
        interactive: bool = False,
        folder: str = "",
        kept: int = 0,
        watched: bool = False,
    ) -> None:
        self.streams, self.interactive = streams, interactive
        # Which streams are a terminal of ours: it is not the program's, where we stay and can carry the bytes.
        self.terminals = [number for number, fd in enumerate(streams) if watched and os.isatty(fd)]
        self.relay: Relay | None = None  # it carries them
        self.sync = SyncPipes(folder)
        self.dies_with_parent = (
            not folder
        )  # who lets it in by a gate with a name need not be who made it, and may be gone
        self.kept = list(range(3, 3 + kept))  # fds that the program gets beside 0, 1 and 2; see sd_listen_fds(3)
        self.pid = self.pidfd = -1
        self.master, self.terminal = -1, ""  # our end of the container's terminal, and its name inside
        self.trees: dict[str, int] = {}  # detached mounts on their way from parent to child, by what they are for
        self.agent: SeccompAgent | None = None  # who answers for system calls that the filter does not decide
        self.trampoline = -1  # the program that executes the box's, see linux/trampoline.py
        self.cgroup_fd: int | None = None
        self.namespace_fds: dict[str, int] = {}
        self.link_maker: LinkMaker | None = None  # who lays its cables, if he has been sent for already

    def handed_over(self) -> list[int]:
        """Return the fds that the child needs until it has placed or joined what they stand for."""
        return [*self.trees.values(), *self.namespace_fds.values()]

    def close_trees(self) -> None:
        """Close the parent's copies of what the child has taken over."""
        for fd in self.namespace_fds.values():
            os.close(fd)
        self.namespace_fds.clear()
        self._close_mounts()

    def close_spare(self) -> None:
        """Close what is of no use once the child is dead, and not needed to undo what was done for it."""
        self._close_mounts()
        self.sync.close()

    def _close_mounts(self) -> None:
        for fd in self.trees.values():
            os.close(fd)
        self.trees.clear()
        if self.cgroup_fd is not None:
            os.close(self.cgroup_fd)
            self.cgroup_fd = None
        if self.trampoline >= 0:
            os.close(self.trampoline)
            self.trampoline = -1

    def close(self) -> None:
        """Close every fd that is still open here."""
        self.close_trees()
        self.sync.close()
        self.dismiss_link_maker()
        if self.relay is not None:
            self.relay.close()
        for name in ("pidfd", "master"):
            if getattr(self, name) >= 0:
                os.close(getattr(self, name))
                setattr(self, name, -1)

    def dismiss_link_maker(self) -> None:
        """Send the fitter away, who has had his order or will not get one."""
        if self.link_maker is not None:
            self.link_maker.dismiss()
            self.link_maker = None
