"""The user namespace of this process: the host's own, or one that a user without root owns; user_namespaces(7).

Root of a user namespace has all capabilities, but only over what belongs to that namespace: it makes mounts and other
namespaces, but no device files, no control groups, no attributes ``trusted.*``. See isolation/rootless/home.py.
"""

from __future__ import annotations

import fcntl
import os

from tinybox.errors import HostError
from tinybox.linux import proc

_INITIAL = "user:[4026531837]"  # PROC_USER_INIT_INO in the kernel's proc_ns.h, the same number on every Linux
home = -1  # the open file RUN/.home, if this process is in a home; see isolation/rootless/home.py
live = ""  # the run directory of the home, for its network
groups = ""  # the directory of cgroup v2 that was given to this user; see isolation/cgroups/delegation.py
HOME, NETWORK = 0, 1  # the bytes of RUN/.home: a process that locks one is in the home, or in its network
stayed = False  # this process entered the home and goes on: its memory was made outside; see cli/rootless.py
planned = False  # this process only plans, for a user without root, what would be done in that user's home


def is_rootless() -> bool:
    """Return whether this process acts, or plans, in a user namespace: without root's rights over the host.

    The host's own user namespace has a fixed inode number; see "The /proc/pid/ns/ directory" in namespaces(7).
    """
    return planned or os.readlink("/proc/self/ns/user") != _INITIAL


def check_root() -> None:
    """Raise HostError unless this process is root of its user namespace, with an id outside; user_namespaces(7)."""
    with open("/proc/self/uid_map", encoding="utf-8") as file:
        has_root = any(first == 0 for first, _, _ in proc.id_map(file.read()))
    if os.geteuid() != 0 or not has_root:
        raise HostError("rootless", "this process is not root of its user namespace")


def has_group(number: int) -> bool:
    """Return whether the group *number* has an id outside of this user namespace; see gid_map, user_namespaces(7)."""
    with open("/proc/self/gid_map", encoding="utf-8") as file:
        return any(first <= number < first + length for first, _, length in proc.id_map(file.read()))


def hold_home(byte: int = HOME) -> None:
    """Let other commands find the home by this process, until it ends; a process that was forked has to call it, too.

    Outside of a home it does nothing. See F_SETLK in fcntl(2): a lock belongs to one process.
    """
    if home >= 0:
        fcntl.lockf(home, fcntl.LOCK_SH | fcntl.LOCK_NB, 1, byte)
