"""Pool: the addresses of one bridge. A lease is a link, /run/tinybox-networks/NETNS/BRIDGE/ADDRESS.

It points to the run directory of the container that has the address, and belongs to the process that could make the
link. Bridges are the host's, so all stores share these pools. A process that can take the lock in a run directory knows
that the container's owner has died and that the address is free.
"""

from __future__ import annotations

import os

from tinybox.container.records import naming, state
from tinybox.linux import files, ownership
from tinybox.linux.locks import lock_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

POOLS = "/run/tinybox-networks"


class Pool:
    """The addresses of one bridge of this host, in the hands of one process at a time; see flock(2)."""

    def __init__(self, bridge: str) -> None:
        self.path = f"{folder()}/{bridge}"
        self._fd = -1

    def __enter__(self) -> Self:
        while True:
            os.makedirs(self.path, 0o700, exist_ok=True)
            try:
                self._fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            except FileNotFoundError:
                continue
            lock_file(self._fd)
            if os.fstat(self._fd).st_nlink:
                return self
            os.close(self._fd)  # it has been removed with its network, just before we had the lock

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)

    def leases(self) -> dict[str, str]:
        """Return who has which address: address to live directory."""
        return {name: self.link(name) for name in os.listdir(self.path) if not name.startswith(".")}

    def link(self, name: str) -> str:
        """Return what the link *name* says, or nothing."""
        return naming.target(os.path.join(self.path, name))

    def note(self, name: str, text: str) -> None:
        """Write *text* down as the link *name*, over a former one; see rename(2)."""
        files.replace_link(os.path.join(self.path, name), text)

    def give(self, address: str, owner: str) -> None:
        """Write down that *address* is *owner*'s, in one step; see symlink(2)."""
        os.symlink(owner, os.path.join(self.path, address))

    def release(self, address: str, owner: str) -> None:
        """Free *address*, if it is *owner*'s."""
        if self.link(address) == owner:
            os.unlink(os.path.join(self.path, address))

    def reclaim(self) -> None:
        """Free what belongs to the dead."""
        for address, owner in self.leases().items():
            if not is_alive(owner):
                self.release(address, owner)

    def remove(self) -> None:
        """Remove the pool of a network that goes; one with leases stays, see rmdir(2)."""
        if not self.leases():
            for name in os.listdir(self.path):
                naming.discard(os.path.join(self.path, name))
        state.remove_empty(self.path)


def folder() -> str:
    """Return where the pools of this network namespace are; see network_namespaces(7)."""
    ownership.check(POOLS)
    return f"{POOLS}/{os.stat('/proc/self/ns/net').st_ino}"


def is_alive(owner: str) -> bool:
    """Tell whether somebody owns the container whose live directory this is: he holds its lock; see flock(2)."""
    try:
        return files.is_locked(os.path.join(owner, "lock"))
    except (FileNotFoundError, NotADirectoryError):
        return False
