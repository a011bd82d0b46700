"""The processes of a container without a control group: those in its pid namespace, and in those below it.

The kernel lists no members of a namespace, so all processes of /proc are looked at; see pid_namespaces(7).
"""

from __future__ import annotations

import fcntl
import os

_NS_GET_PARENT = 0xB702


def members(first: int) -> list[int]:
    """Return the pids, as this process sees them, of the processes in the pid namespace of process *first*; [] if gone.

    NS_GET_PARENT leads from a namespace to the one above it; see NS_GET_PARENT(2const).
    """
    wanted = _inode(first)
    if not wanted:
        return []
    known = {wanted: True, _inode(os.getpid()): False}
    found = []
    for name in os.listdir("/proc"):
        if name.isdecimal() and (own := _inode(int(name))):
            if own not in known:
                known[own] = _is_below(int(name), wanted)
            found += [int(name)] * known[own]
    return sorted(found)


def _inode(pid: int) -> int:
    """Return the number of the pid namespace of process *pid*; 0 if it has ended, or belongs to another user."""
    try:
        return os.stat(f"/proc/{pid}/ns/pid").st_ino
    except OSError:
        return 0


def _is_below(pid: int, wanted: int) -> bool:
    """Return whether the pid namespace of process *pid* is below that with the number *wanted*."""
    try:
        fd = os.open(f"/proc/{pid}/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
        while True:
            try:
                above = fcntl.ioctl(fd, _NS_GET_PARENT)
            finally:
                os.close(fd)
            fd = above
            if os.fstat(fd).st_ino == wanted:
                os.close(fd)
                return True
    except OSError:  # EPERM: the one above is this process's own or further up; or the process has just ended
        return False
