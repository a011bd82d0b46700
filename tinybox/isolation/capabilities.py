"""Identity and capabilities of the container's program: --user, --cap-add, --cap-drop; see capabilities(7).

The order matters: first the bounding set (this needs CAP_SETPCAP), then groups, group and user (this needs CAP_SETGID
and CAP_SETUID), and the remaining sets last, because after that the process has no right to change them back.
"""

from __future__ import annotations

import errno
import os

from tinybox.errors import UsageError
from tinybox.linux import capability, process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# Docker's default set, with the names of capabilities(7)
DEFAULT = (
    "CAP_CHOWN CAP_DAC_OVERRIDE CAP_FSETID CAP_FOWNER CAP_MKNOD CAP_NET_RAW CAP_SETGID CAP_SETUID CAP_SETFCAP "
    "CAP_SETPCAP CAP_NET_BIND_SERVICE CAP_SYS_CHROOT CAP_KILL CAP_AUDIT_WRITE"
).split()


def named(text: str) -> str:
    """Return the full name of a capability in docker's short form (``net_admin``); UsageError: it is unknown."""
    name = text.upper()
    name = name if name.startswith("CAP_") else f"CAP_{name}"
    if name not in capability.NUMBERS:
        raise UsageError(f"capability {text}", "no such capability", "see capabilities(7) for the names")
    return name


def wanted(added: Iterable[str], dropped: Iterable[str], available: Sequence[str]) -> list[str]:
    """Return the default set changed by the values of --cap-add and --cap-drop, of which one may be ``ALL``.

    *available* are the capabilities that root really has on this host: ``ALL`` means all of these.
    """
    add, drop = [name.upper() for name in added], [name.upper() for name in dropped]
    base = set(available) if "ALL" in add else set() if "ALL" in drop else set(DEFAULT)
    base |= {named(name) for name in add if name != "ALL"}
    base -= {named(name) for name in drop if name != "ALL"}
    return [name for name in capability.NAMES if name in base]


def available() -> list[str]:
    """Return the names of the capabilities in this process's permitted set, in kernel order; see capget(2)."""
    _, permitted, _ = capability.capget()
    return [name for number, name in enumerate(capability.NAMES) if permitted >> number & 1]


def drop_bounding_set(keep: int, inherit: int = 0) -> None:
    """Remove every capability that is not in the mask *keep* from the bounding set; see capabilities(7).

    Before that, make those in *inherit* inheritable: later only members of the bounding set can become so.
    """
    if inherit:
        effective, permitted, inheritable = capability.capget()
        capability.capset(effective, permitted, inheritable | inherit)
    number = 0
    try:
        while True:
            if not keep >> number & 1:
                _drop(number)
            number += 1
    except OSError as error:
        if error.errno != errno.EINVAL:  # the number after the last capability of this kernel
            raise


def _drop(number: int) -> None:
    """Remove one capability from the bounding set; EPERM: it is there, and this process has no CAP_SETPCAP."""
    try:
        process.drop_from_bounding_set(number)
    except PermissionError:
        if process.bounding_set_has(number):
            raise


def set_identity(uid: int, gid: int, groups: Sequence[int], umask: int | None) -> None:
    """Become the container's user; the permitted set is kept until the next step sets it; see credentials(7).

    UsageError: the user namespace of this process lacks one of the ids.
    """
    process.set_keep_capabilities()
    try:
        set_groups(groups)
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        cause = f"the box's user namespace lacks this user, the group, or one of the groups {[*groups]}"
        cure = "uid_map and gid_map in /proc/self of a box list its ids"
        raise UsageError(f"user {uid}:{gid}", cause, cure) from error
    os.umask(0o022 if umask is None else umask)


def set_groups(groups: Sequence[int]) -> None:
    """Set the supplementary groups; see setgroups(2).

    A user namespace may forbid this call, if one of its users without rights on the host has made it: then its
    processes keep their groups, which are of no use there; see /proc/PID/setgroups in user_namespaces(7). The group of
    the process itself needs no such call.
    """
    try:
        os.setgroups(groups)
    except PermissionError:
        with open("/proc/self/setgroups", encoding="utf-8") as file:
            if set(groups) - {os.getegid()} or file.read().strip() != "deny":
                raise


def set_sets(effective: int, permitted: int, inheritable: int, ambient: int) -> None:
    """Set the effective, permitted, inheritable and ambient sets from masks; see capset(2) and prctl(2)."""
    capability.capset(effective, permitted, inheritable)
    process.clear_ambient_set()
    for number in range(ambient.bit_length()):
        if ambient >> number & 1:
            process.raise_ambient(number)
