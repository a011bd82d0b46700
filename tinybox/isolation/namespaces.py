"""Namespaces: make, open and join the eight kinds; set host name, loopback and clock offsets in a new one.

Each kind gives a process its own view of one resource: host name (uts), process ids, mounts, networks, System V IPC and
message queues, control groups, users, clocks. clone3(2) or unshare(2) makes a new one, setns(2) joins an existing one.
"""

from __future__ import annotations

import _socket  # the C half alone: socket.py costs 4 ms more
import fcntl
import os

from tinybox.errors import HostError, UsageError
from tinybox.linux import process
from tinybox.linux.filesystem import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

# OCI's name: (flag, the kernel's name in /proc/PID/ns); see namespaces(7)
KINDS = {
    "user": (process.CLONE_NEWUSER, "user"),
    "mount": (process.CLONE_NEWNS, "mnt"),
    "pid": (process.CLONE_NEWPID, "pid"),
    "network": (process.CLONE_NEWNET, "net"),
    "ipc": (process.CLONE_NEWIPC, "ipc"),
    "uts": (process.CLONE_NEWUTS, "uts"),
    "cgroup": (process.CLONE_NEWCGROUP, "cgroup"),
    "time": (process.CLONE_NEWTIME, "time"),
}

_NS_GET_NSTYPE = 0xB703
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1


def flags(kinds: Iterable[str]) -> int:
    """Return the CLONE_* flags of OCI namespace *kinds*, for clone3(2) or unshare(2)."""
    bits = 0
    for kind in kinds:
        bits |= KINDS[kind][0]
    return bits


def path(pid: int, kind: str) -> str:
    """Return the path in /proc of the namespace of OCI *kind* of process *pid*; see namespaces(7)."""
    return f"/proc/{pid}/ns/{KINDS[kind][1]}"


def open_path(kind: str, where: str) -> int:
    """Open the namespace at path *where*; UsageError: it is not of this OCI *kind*; see NS_GET_NSTYPE(2const)."""
    thing = f"linux.namespaces: {kind}: {where}"
    try:
        fd = os.open(where, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # it may be a FIFO
    except OSError as error:
        raise UsageError(thing, (error.strerror or "").lower()) from error
    try:
        if fcntl.ioctl(fd, _NS_GET_NSTYPE) == KINDS[kind][0]:
            return fd
    except OSError:  # ENOTTY: the file is no namespace
        pass
    os.close(fd)
    raise UsageError(thing, f"is no {kind} namespace")


def join(kind: str, where: str) -> None:
    """Join the namespace at path *where*; for a pid namespace, only later children are in it; see setns(2)."""
    try:
        fd = os.open(where, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise HostError(f"{kind} namespace {where}", "its process has ended") from error
    try:
        process.setns(fd, KINDS[kind][0])
    finally:
        os.close(fd)


def enter_cgroup_namespace() -> None:
    """Make a cgroup namespace, whose roots are this process's present control groups; see cgroup_namespaces(7).

    clone3(2) is not asked to make it: the child starts in its v2 group, but joins its groups of version 1 only later,
    and a namespace made by clone3(2) would show the host's path of those. See docs/adr/0007.
    """
    process.unshare(process.CLONE_NEWCGROUP)


def loopback_up() -> None:
    """Set the ``lo`` interface of this network namespace up; in a new namespace it is down. See netdevice(7)."""
    with_name = b"lo".ljust(16, b"\0")
    query = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC)
    try:
        request = fcntl.ioctl(query.fileno(), _SIOCGIFFLAGS, with_name + bytes(24))
        up = int.from_bytes(request[16:18], "little") | _IFF_UP
        fcntl.ioctl(query.fileno(), _SIOCSIFFLAGS, with_name + up.to_bytes(2, "little") + bytes(22))
    finally:
        query.close()


def set_hostname(name: str) -> None:
    """Set the host name of this UTS namespace; see sethostname(2)."""
    _socket.sethostname(name)


def set_domainname(name: str) -> None:
    """Set the NIS domain name of this UTS namespace; see setdomainname(2)."""
    process.setdomainname(os.fsencode(name))


def enter_time_namespace(offsets: dict[str, dict[str, int]]) -> None:
    """Move to a new time namespace whose clocks differ from the host's by *offsets*; see time_namespaces(7).

    The clocks can be set until a process is in the namespace. HostError names the offset that the kernel refuses.
    """
    make_time_namespace()
    set_clocks("self", offsets)
    join_made_time_namespace()


def make_time_namespace() -> None:
    """Make a time namespace, into which unshare(2) moves only later children; see time_namespaces(7)."""
    process.unshare(process.CLONE_NEWTIME)


def set_clocks(pid: int | str, offsets: dict[str, dict[str, int]]) -> None:
    """Set the clocks of the time namespace that process *pid* has made and is not in yet; see time_namespaces(7)."""
    for clock, offset in offsets.items():
        text = f"{clock} {offset.get('secs', 0)} {offset.get('nanosecs', 0)}"
        try:
            files.write_once(os.open(f"/proc/{pid}/timens_offsets", os.O_WRONLY | os.O_CLOEXEC), text.encode())
        except OSError as error:
            raise HostError(f"linux.timeOffsets.{clock}", f"the kernel refuses it: {error.strerror}") from error


def join_made_time_namespace() -> None:
    """Join the time namespace that this process has made; see time_namespaces(7)."""
    join("time", "/proc/self/ns/time_for_children")
