"""Keyrings: the passwords and tickets that the kernel keeps for a login session, which no namespace hides.

A process inherits its session keyring over fork(2) and execve(2), and may use all keys in it: a box that had ours
would have the host's keys for disks, NFS and Kerberos; see session-keyring(7). So each container takes one of its own,
by a name, which is how another process finds it that joins the container.

The keyrings of a *user*, see user-keyring(7), are kept by user id in a user namespace: root of a box shares root's. The
filter of system calls, or a user namespace, stands before those.
"""

from __future__ import annotations

import errno

from tinybox.errors import HostError, SyscallError
from tinybox.linux import process

# ENOSYS: the kernel has no keys. EPERM: a filter around us refuses keyctl(2), and the box is under it as well.
_OUT_OF_REACH = (errno.ENOSYS, errno.EPERM)
_PERMISSIONS = (
    process.KEY_POS_ALL | process.KEY_USR_VIEW | process.KEY_USR_READ | process.KEY_USR_SEARCH | process.KEY_USR_LINK
)


def leave() -> None:
    """Leave the session keyring of the caller's for an empty one; see KEYCTL_JOIN_SESSION_KEYRING in keyctl(2).

    It counts for the user who calls. So it is done before a user namespace makes us one of its users, who may have 200
    keys together (/proc/sys/kernel/keys/maxkeys) where root may have a million.
    """
    _join(None)


def join(name: str, new: bool, left: bool) -> None:
    """Make the keyring *name* this process's session keyring; see KEYCTL_JOIN_SESSION_KEYRING in keyctl(2).

    With *new* its owner may search it from now on: without that, a process that joins the container would not find it.
    A process that has *left* the caller's keyring goes on without one where there can be no more keys (EDQUOT); any
    other gets a HostError.
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
    """Return the keyring's number, or 0 where neither we nor the box can have to do with keys."""
    try:
        return process.join_session_keyring(name)
    except SyscallError as error:
        if error.errno not in _OUT_OF_REACH:
            raise
        return 0
