"""ns: compare a container's eight namespaces with the host's: equal inode numbers are one namespace; namespaces(7)."""

from __future__ import annotations

import os

from tinybox.errors import HostError, StateError
from tinybox.linux import proc

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinybox.container.views.listing import Listed

KINDS = ("cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts")


class NamespacePair:
    """One kind of namespace with the inode numbers of the host's and the box's; 0 if the kernel has no such kind.

    Time namespaces came with Linux 5.6.
    """

    def __init__(self, container: str, kind: str, host: int, box: int) -> None:
        self.container, self.kind, self.host, self.box = container, kind, host, box

    @property
    def differs(self) -> bool:
        """Whether the box has its own namespace of this kind."""
        return self.host != self.box


def pairs(listed: Listed) -> list[NamespacePair]:
    """Return the namespaces of a running container's first process, each with tinybox's own of the same kind.

    StateError if the container does not run; HostError without the permission to read them.
    """
    name = listed.name or listed.id[:12]
    if not listed.has_process:
        raise StateError(f"container {name}", "is not running", "only a process has namespaces")
    try:
        return [NamespacePair(name, kind, inode("self", kind), inode(str(listed.state["pid"]), kind)) for kind in KINDS]
    except ProcessLookupError as error:
        raise StateError(f"container {name}", "has just ended") from error
    except PermissionError as error:
        raise HostError("permission denied", "only root can read a box's namespaces", "try it with sudo") from error


def inode(process: str, kind: str) -> int:
    """Return the inode number in the kernel's name of a namespace, ``pid:[4026531836]``; see readlink(2).

    *process* is a pid or ``self``. Return 0 if the kernel has no namespaces of this *kind*; ProcessLookupError if the
    process has ended.
    """
    try:
        return int(proc.link(f"/proc/{process}/ns/{kind}").partition("[")[2].rstrip("]"))
    except FileNotFoundError:
        if os.path.exists(f"/proc/{process}"):
            return 0
        raise ProcessLookupError(process) from None
