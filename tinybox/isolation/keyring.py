"""Session keyrings: give each container its own, because no namespace hides the keys of the caller's session.

A process inherits its session keyring over fork(2) and execve(2), and may use all keys in it: a container with the
keyring of tinybox's caller could use the host's keys for disks, NFS and Kerberos; see session-keyring(7). So each
container has its own session keyring. It has a name, by which a process that joins the container (exec) finds it.

The keyrings of a *user*, see user-keyring(7), belong to a user id in a user namespace: root of a container shares
those of the host's root. Only the seccomp filter, or a user namespace, protects these.
"""

from __future__ import annotations

import errno

from tinybox.errors import HostError, SyscallError
from tinybox.linux import process

# ENOSYS: the kernel has no keys. EPERM: a seccomp filter of this process refuses keyctl(2); the container inherits it.
_OUT_OF_REACH = (errno.ENOSYS, errno.EPERM)
_PERMISSIONS = (
    process.KEY_POS_ALL | process.KEY_USR_VIEW | process.KEY_USR_READ | process.KEY_USR_SEARCH | process.KEY_USR_LINK
)


def leave() -> None:
    """Replace this process's session keyring by a new, empty one; see KEYCTL_JOIN_SESSION_KEYRING in keyctl(2).

    The new keyring counts against the quota of this process's user. So the process does this before it enters a user
    namespace: a user there may have 200 keys (/proc/sys/kernel/keys/maxkeys), while root may have a million.
    """
    _join(None)


def join(name: str, new: bool, left: bool) -> None:
    """Make the keyring *name* this process's session keyring; see KEYCTL_JOIN_SESSION_KEYRING in keyctl(2).

    With *new* it also gives the keyring's owner the permission to search it: otherwise a process that joins the
    container would not find it. If the user has no quota for another key (EDQUOT), a process that has already *left*
    the caller's keyring keeps its empty one; any other gets a HostError.
    """
    try:
        key = _join(name.encode())
    except SyscallError as error:
        if error.errno != errno.EDQUOT:
            raise
        if not left:
            cure = "raise /proc/sys/kernel/keys/maxkeys and maxbytes"
            raise HostError("session keyring", "this user may have no more keys", cure) from error
        return
    if new and key:
        process.set_key_permissions(key, _PERMISSIONS)


def _join(name: bytes | None) -> int:
    """Join the keyring *name* and return its number; 0 if neither this process nor the container can use keys."""
    try:
        return process.join_session_keyring(name)
    except SyscallError as error:
        if error.errno not in _OUT_OF_REACH:
            raise
        return 0
