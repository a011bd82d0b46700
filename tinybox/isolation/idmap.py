"""User namespaces: root inside, nobody in particular outside.

The map of a user namespace is a list of ranges, each "inside, outside, length". An idmapped mount applies such a map to
the owners of files, so that an image's root-owned files belong to the container's root without changing one on disk.
"""

from __future__ import annotations

import os

from tinybox.linux import process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypedDict

    class IDMapping(TypedDict):
        """One line of a uid_map, in OCI's words; see user_namespaces(7)."""

        containerID: int
        hostID: int
        size: int


RANGE = 65536
FIRST = 524288  # where systemd's "container UID range" begins; taken when /etc/subuid has no line for tinybox


def default_range(subuid: str) -> int:
    """Return the first host id for private user namespaces, from the *subuid* file's text; see subuid(5)."""
    for line in subuid.splitlines():
        name, _, numbers = line.partition(":")
        first, _, count = numbers.partition(":")
        if name == "tinybox" and count.strip().isdigit() and int(count) >= RANGE:
            return int(first)
    return FIRST


def text(mappings: Sequence[IDMapping]) -> bytes:
    """Return *mappings* as the kernel reads them from uid_map and gid_map; see user_namespaces(7)."""
    return "".join(f"{m['containerID']} {m['hostID']} {m['size']}\n" for m in mappings).encode()


def write_maps(pid: int, uids: Sequence[IDMapping], gids: Sequence[IDMapping]) -> None:
    """Give the new user namespace of process *pid* its maps, each in one write; see user_namespaces(7)."""
    for name, mappings in (("uid_map", uids), ("gid_map", gids)):
        fd = os.open(f"/proc/{pid}/{name}", os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, text(mappings))
        finally:
            os.close(fd)


def user_namespace(uids: Sequence[IDMapping], gids: Sequence[IDMapping]) -> int:
    """Return an fd of a user namespace with these maps, for idmapped mounts; see MOUNT_ATTR_IDMAP, mount_setattr(2).

    A namespace needs a process to be born in: a child that waits at a pipe until its namespace has been opened.
    """
    gate, hold = os.pipe()
    pid, pidfd = process.clone3(process.CLONE_NEWUSER)
    if pid == 0:
        os.close(hold)
        os.read(gate, 1)
        os._exit(0)
    try:
        write_maps(pid, uids, gids)
        return os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(gate)
        os.close(hold)
        os.waitid(os.P_PIDFD, pidfd, os.WEXITED)
        os.close(pidfd)


def become_root() -> None:
    """Be user and group 0 of the user namespace just entered, with no other groups; see setresuid(2)."""
    os.setgroups([])
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)
