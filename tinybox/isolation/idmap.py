"""User namespaces: id maps, by which root of the container is an unprivileged user of the host (--userns private).

The map of a user namespace is a list of ranges, each "inside, outside, length". An idmapped mount applies such a map to
the owners of files: so the files of an image, owned by root on disk, belong to the container's root without a chown(2).
"""

from __future__ import annotations

import os

from tinybox.isolation import capabilities
from tinybox.linux import proc, process
from tinybox.linux.filesystem import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypedDict

    class IDMapping(TypedDict):
        """One line of a uid_map, with OCI's names; see user_namespaces(7)."""

        containerID: int
        hostID: int
        size: int


NOBODY = 65534  # what a box sees for an id that is not in its map: overflowuid in proc_sys_kernel(5)


def text(mappings: Sequence[IDMapping]) -> bytes:
    """Return *mappings* in the format of uid_map and gid_map; see user_namespaces(7)."""
    return "".join(f"{m['containerID']} {m['hostID']} {m['size']}\n" for m in mappings).encode()


def keep_id(number: int, count: int) -> list[IDMapping]:
    """Return the map in which id 0 of the home is *number*, and the *count* others fill the places around it.

    So the ids below *number* are one higher in the home, and those above it are the same: podman's ``keep-id``.
    """
    below = min(number, count)
    rows = [(0, 1, below), (number, 0, 1), (number + 1, number + 1, count - below)]
    return [{"containerID": inside, "hostID": outer, "size": size} for inside, outer, size in rows if size]


def shifted(first: int, size: int, forced: Sequence[IDMapping] = ()) -> list[IDMapping]:
    """Return the map of the ids 0 up to *size* to those from *first* on, except where *forced* has another one."""
    spans, start = list[tuple[int, int]](), 0
    for entry in sorted(forced, key=lambda entry: entry["containerID"]):
        spans.append((start, min(entry["containerID"], size)))
        start = max(start, entry["containerID"] + entry["size"])
    spans.append((start, size))
    found: list[IDMapping] = [
        {"containerID": inside, "hostID": first + inside, "size": end - inside} for inside, end in spans if end > inside
    ]
    return [*found, *forced]


def outer(mappings: Sequence[IDMapping], number: int) -> int:
    """Return the id outside for the id *number* of a box with these *mappings*; -1: the box has no such id."""
    return next((m["hostID"] + number - m["containerID"] for m in mappings
                 if 0 <= number - m["containerID"] < m["size"]), -1)  # fmt: skip


def inner(mappings: Sequence[IDMapping], number: int) -> int:
    """Return the id in a box with these *mappings* for the id *number* outside, as `outer`, or that of nobody."""
    return next((m["containerID"] + number - m["hostID"] for m in mappings if 0 <= number - m["hostID"] < m["size"]),
                NOBODY)  # fmt: skip


def write_maps(pid: int, uids: Sequence[IDMapping], gids: Sequence[IDMapping]) -> None:
    """Set the maps of the new user namespace of process *pid*, each in one write(2); see user_namespaces(7)."""
    for name, mappings in (("uid_map", uids), ("gid_map", gids)):
        files.write_once(os.open(f"/proc/{pid}/{name}", os.O_WRONLY | os.O_CLOEXEC), text(mappings))


def user_namespace(uids: Sequence[IDMapping], gids: Sequence[IDMapping]) -> int:
    """Return an fd of a user namespace with these maps, for idmapped mounts; see MOUNT_ATTR_IDMAP, mount_setattr(2).

    A namespace is made together with a process: a child that waits at a pipe until its namespace has been opened, and
    then ends. If the caller is killed, the pipe closes and the child ends, too.
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


def outside(pid: int, number: int) -> int:
    """Return the user id by which this process knows user *number* of process *pid*'s user namespace, or -1.

    The kernel translates uid_map for its reader; see user_namespaces(7).
    """
    rows = proc.id_map(proc.text(f"/proc/{pid}/uid_map"))
    return next((outer + number - first for first, outer, length in rows if 0 <= number - first < length), -1)


def become_root() -> None:
    """Become user and group 0 of this process's new user namespace, without other groups; see setresuid(2)."""
    capabilities.set_groups([])
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)
