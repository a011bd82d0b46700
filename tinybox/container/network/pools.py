"""Address pools: a directory for each bridge, with one lease for each address that a container has.

A lease is a symbolic link, /run/tinybox-networks/NETNS/BRIDGE/ADDRESS, to the run directory of the container. Bridges
belong to the host, so all stores share these pools. A process that can acquire the lock in a run directory knows that
the container's owner has died and that the address is free.
"""

from __future__ import annotations

import os

from tinybox.container.records import naming, paths, state
from tinybox.linux import user_namespaces
from tinybox.linux.filesystem import files, locks, ownership
from tinybox.linux.filesystem.locks import lock_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

POOLS = paths.POOLS
LEAVING = ".leaving"  # beside the pools: the links that the link remover has to remove, see link_remover.py


class Pool:
    """The address pool of one bridge; the process in the ``with`` block holds its lock; see flock(2)."""

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
            os.close(self._fd)  # another process has removed the pool just before this one got the lock

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)

    def leases(self) -> dict[str, str]:
        """Return all leases: a map from each address to the run directory of the container that has it."""
        return {name: self.link(name) for name in self.addresses()}

    def addresses(self) -> list[str]:
        """Return all addresses that are leased: one list, without a call for each."""
        return [name for name in os.listdir(self.path) if not name.startswith(".")]

    def link(self, name: str) -> str:
        """Return the target of the link *name*; an empty string if there is no such link."""
        return naming.target(os.path.join(self.path, name))

    def note(self, name: str, text: str) -> None:
        """Store *text* as the target of the link *name*, in place of a former one; see rename(2)."""
        files.replace_link(os.path.join(self.path, name), text)

    def lease(self, address: str, owner: str) -> None:
        """Lease *address* to *owner*, a run directory; FileExistsError if it is already leased; see symlink(2)."""
        os.symlink(owner, os.path.join(self.path, address))

    def release(self, address: str, owner: str) -> None:
        """Release *address* if *owner* has it."""
        if self.link(address) == owner:
            os.unlink(os.path.join(self.path, address))

    def reclaim(self) -> None:
        """Release the addresses of all containers without a living owner."""
        for address, owner in self.leases().items():
            if not is_alive(owner):
                self.release(address, owner)

    def remove(self) -> None:
        """Remove the pool if no address is leased; see rmdir(2)."""
        if not self.addresses():
            for name in os.listdir(self.path):
                files.discard(os.path.join(self.path, name))
        state.remove_empty(self.path)


def folder() -> str:
    """Return the directory with the pools of this network namespace; see network_namespaces(7).

    A user without root has them beside the run directory.
    """
    place = f"{user_namespaces.live}-networks" if user_namespaces.live else POOLS
    ownership.check(place)
    return f"{place}/{os.stat('/proc/self/ns/net').st_ino}"


def is_alive(owner: str) -> bool:
    """Return whether a living process owns the container with the run directory *owner*: it holds its flock(2)."""
    try:
        return locks.is_locked(os.path.join(owner, "lock"))
    except (FileNotFoundError, NotADirectoryError):
        return False
