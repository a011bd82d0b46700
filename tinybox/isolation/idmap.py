"""User namespaces: id maps, by which root of the container is an unprivileged user of the host (--userns private).

The map of a user namespace is a list of ranges, each "inside, outside, length". An idmapped mount applies such a map to
the owners of files: so the files of an image, owned by root on disk, belong to the container's root without a chown(2).
"""

from __future__ import annotations

import os

from tinybox.linux import files, proc, process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import TypedDict

    class IDMapping(TypedDict):
        """One line of a uid_map, with OCI's names; see user_namespaces(7)."""

        containerID: int
        hostID: int
        size: int


RANGE = 65536
FIRST, END = 0x80000, 0x70000000  # the ids that systemd's UIDS-GIDS reserves for containers: 524288 to 1879048191
_USER = "tinybox"  # the name in /etc/subuid and /etc/subgid under which an administrator gives ids to tinybox


class Allotment:
    """The ranges of host ids that tinybox may use for private user namespaces.

    These are all ranges between FIRST and END, or, if the texts *subuid* and *subgid* have lines for ``tinybox``, the
    ranges in these lines. A range is left out if a line gives a part of it to another user, or if it contains an id of
    the texts *passwd* and *group*: a user of the container would then be a real user of the host. See subuid(5),
    passwd(5), group(5).
    """

    def __init__(self, subuid: str = "", subgid: str = "", passwd: str = "", group: str = "") -> None:
        files = [_lines(subuid), _lines(subgid)]
        self._given = [[span for name, span in lines if name == _USER and len(span) >= RANGE] for lines in files]
        self._others = [span for lines in files for name, span in lines if name != _USER]
        numbers = [line.split(":")[2:3] for text in (passwd, group) for line in text.splitlines()]
        self._taken = {int(number) for fields in numbers for number in fields if number.isdecimal()}

    def after(self, last: int) -> Iterator[int]:
        """Yield the first id of each allowed range: first the ranges after the id *last*, then those before it."""
        spans = next(filter(None, self._given), [range(FIRST, END)])
        starts = sorted(first for span in spans for first in range(span.start, span.stop - RANGE + 1, RANGE))
        for part in ([first for first in starts if first > last], [first for first in starts if first <= last]):
            yield from filter(self.allows, part)

    def allows(self, first: int) -> bool:
        """Return whether a container may get the range of RANGE ids that begins with *first*."""
        end = first + RANGE
        if any(lines and not any(s.start <= first and end <= s.stop for s in lines) for lines in self._given):
            return False
        if any(span.start < end and first < span.stop for span in self._others):
            return False
        return not any(first <= number < end for number in self._taken)


def _lines(text: str) -> list[tuple[str, range]]:
    """Return the name and range of each line ``NAME:FIRST:COUNT`` of *text*; other lines, as comments, are ignored."""
    found = []
    for line in text.splitlines():
        name, _, numbers = line.partition(":")
        first, _, count = numbers.partition(":")
        if first.isdecimal() and count.strip().isdecimal():
            found.append((name, range(int(first), int(first) + int(count))))
    return found


def text(mappings: Sequence[IDMapping]) -> bytes:
    """Return *mappings* in the format of uid_map and gid_map; see user_namespaces(7)."""
    return "".join(f"{m['containerID']} {m['hostID']} {m['size']}\n" for m in mappings).encode()


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
    with open(f"/proc/{pid}/uid_map", encoding="ascii") as file:
        rows = proc.id_map(file.read())
    return next((outer + number - first for first, outer, length in rows if 0 <= number - first < length), -1)


def become_root() -> None:
    """Become user and group 0 of this process's new user namespace, without other groups; see setresuid(2)."""
    set_groups([])
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)


def set_groups(groups: Sequence[int]) -> None:
    """Set the supplementary groups; see setgroups(2).

    A user namespace may forbid this call, if one of its users without rights on the host has made it: then its
    processes keep their groups, which are of no use there; see /proc/PID/setgroups in user_namespaces(7). The group of
    the process itself needs no such call.
    """
    try:
        os.setgroups(groups)
    except PermissionError:
        with open("/proc/self/setgroups", encoding="ascii") as file:
            if set(groups) - {os.getegid()} or file.read().strip() != "deny":
                raise
