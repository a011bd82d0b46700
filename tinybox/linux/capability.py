"""Capabilities: the names and numbers of root's forty-one privileges, and the sets of this process; capget, capset.

The kernel checks the effective set. The permitted set limits what the effective set may get. The inheritable and
ambient sets pass through execve(2). The bounding set limits what any program executed later can get.
"""

from __future__ import annotations

import ctypes

from tinybox.linux.abi import Syscall

NAMES = (  # in the order of their numbers; see capabilities(7)
    "CAP_CHOWN CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_FOWNER CAP_FSETID CAP_KILL CAP_SETGID CAP_SETUID CAP_SETPCAP "
    "CAP_LINUX_IMMUTABLE CAP_NET_BIND_SERVICE CAP_NET_BROADCAST CAP_NET_ADMIN CAP_NET_RAW CAP_IPC_LOCK CAP_IPC_OWNER "
    "CAP_SYS_MODULE CAP_SYS_RAWIO CAP_SYS_CHROOT CAP_SYS_PTRACE CAP_SYS_PACCT CAP_SYS_ADMIN CAP_SYS_BOOT CAP_SYS_NICE "
    "CAP_SYS_RESOURCE CAP_SYS_TIME CAP_SYS_TTY_CONFIG CAP_MKNOD CAP_LEASE CAP_AUDIT_WRITE CAP_AUDIT_CONTROL "
    "CAP_SETFCAP CAP_MAC_OVERRIDE CAP_MAC_ADMIN CAP_SYSLOG CAP_WAKE_ALARM CAP_BLOCK_SUSPEND CAP_AUDIT_READ "
    "CAP_PERFMON CAP_BPF CAP_CHECKPOINT_RESTORE"
).split()
NUMBERS = {name: number for number, name in enumerate(NAMES)}

_VERSION_3 = 0x20080522


class Header(ctypes.Structure):
    """``struct __user_cap_header_struct`` of capset(2); pid 0 is the caller."""

    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class Data(ctypes.Structure):
    """``struct __user_cap_data_struct`` of capset(2); the call takes two: the lower 32 capabilities, then the upper."""

    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


_capget = Syscall("capget", ctypes.POINTER(Header), ctypes.POINTER(Data))
_capset = Syscall("capset", ctypes.POINTER(Header), ctypes.POINTER(Data))


def capget() -> tuple[int, int, int]:
    """Return this thread's effective, permitted and inheritable sets as bit masks; see capget(2)."""
    data = (Data * 2)()
    _capget(ctypes.byref(Header(_VERSION_3, 0)), data)
    low, high = data
    return (
        low.effective | high.effective << 32,
        low.permitted | high.permitted << 32,
        low.inheritable | high.inheritable << 32,
    )


def capset(effective: int, permitted: int, inheritable: int) -> None:
    """Set this thread's three sets from bit masks; EPERM: *permitted* may only shrink; see capset(2)."""
    data = (Data * 2)(
        *[
            Data(effective >> shift & 0xFFFFFFFF, permitted >> shift & 0xFFFFFFFF, inheritable >> shift & 0xFFFFFFFF)
            for shift in (0, 32)
        ]
    )
    _capset(ctypes.byref(Header(_VERSION_3, 0)), data)


def mask(names: list[str] | set[str] | tuple[str, ...]) -> int:
    """Return the bit mask of capability *names* such as ``CAP_CHOWN``; see capabilities(7)."""
    bits = 0
    for name in names:
        bits |= 1 << NUMBERS[name]
    return bits
