"""User namespaces: root inside, nobody in particular outside.

The map of a user namespace is a list of ranges, each "inside, outside, length". An idmapped mount applies such a map to
the owners of files, so that an image's root-owned files belong to the container's root without changing one on disk.
"""

from __future__ import annotations

import os

from tinybox.linux import files, process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import TypedDict

    class IDMapping(TypedDict):
        """One line of a uid_map, in OCI's words; see user_namespaces(7)."""

        containerID: int
        hostID: int
        size: int


RANGE = 65536
FIRST, END = 0x80000, 0x70000000  # what systemd's UIDS-GIDS keeps for containers: 524288 up to 1879048191
_OURS = "tinybox"  # the name in /etc/subuid and /etc/subgid by which an administrator gives us ids of his choice


class Allotment:
    """Which ranges of this host's ids private user namespaces may have.

    All between FIRST and END; or, where the texts *subuid* and *subgid* have lines for ``tinybox``, those that these
    give. Never one that a line gives to somebody else, nor one with an id of the texts *passwd* and *group*: there the
    root of a container would be somebody on the host. See subuid(5), passwd(5), group(5).
    """

    def __init__(self, subuid: str = "", subgid: str = "", passwd: str = "", group: str = "") -> None:
        files = [_lines(subuid), _lines(subgid)]
        self._given = [[span for name, span in lines if name == _OURS and len(span) >= RANGE] for lines in files]
        self._others = [span for lines in files for name, span in lines if name != _OURS]
        numbers = [line.split(":")[2:3] for text in (passwd, group) for line in text.splitlines()]
        self._taken = {int(number) for words in numbers for number in words if number.isdecimal()}

    def after(self, last: int) -> Iterator[int]:
        """Yield the first id of each range that may be given, beginning behind *last*; the ones before it come last."""
        spans = next(filter(None, self._given), [range(FIRST, END)])
        starts = sorted(first for span in spans for first in range(span.start, span.stop - RANGE + 1, RANGE))
        for part in ([first for first in starts if first > last], [first for first in starts if first <= last]):
            yield from filter(self.allows, part)

    def allows(self, first: int) -> bool:
        """Tell whether the range that begins with *first* may be given."""
        end = first + RANGE
        if any(lines and not any(s.start <= first and end <= s.stop for s in lines) for lines in self._given):
            return False
        if any(span.start < end and first < span.stop for span in self._others):
            return False
        return not any(first <= number < end for number in self._taken)


def _lines(text: str) -> list[tuple[str, range]]:
    """Return the lines ``NAME:FIRST:COUNT`` of *text*; others, such as comments, give nothing to anybody."""
    found = []
    for line in text.splitlines():
        name, _, numbers = line.partition(":")
        first, _, count = numbers.partition(":")
        if first.isdecimal() and count.strip().isdecimal():
            found.append((name, range(int(first), int(first) + int(count))))
    return found


def text(mappings: Sequence[IDMapping]) -> bytes:
    """Return *mappings* as the kernel reads them from uid_map and gid_map; see user_namespaces(7)."""
    return "".join(f"{m['containerID']} {m['hostID']} {m['size']}\n" for m in mappings).encode()


def write_maps(pid: int, uids: Sequence[IDMapping], gids: Sequence[IDMapping]) -> None:
    """Give the new user namespace of process *pid* its maps, each in one write; see user_namespaces(7)."""
    for name, mappings in (("uid_map", uids), ("gid_map", gids)):
        files.write_once(os.open(f"/proc/{pid}/{name}", os.O_WRONLY | os.O_CLOEXEC), text(mappings))


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
