"""Format the parts of a system call as text: flags by name, paths in quotes, structures, the result or the errno.

The names are those of the kernel's headers, taken from the constants in tinybox/linux/. A value without a name is shown
as a number, and never guessed.
"""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import stat
from typing import Any

from tinybox.linux import bpf, capability, mount, process, seccomp
from tinybox.linux.filesystem import files

STRUCTURES: dict[str, type[ctypes.Structure]] = {
    kind.__name__: kind
    for kind in (process.CloneArgs, mount.MountAttr, files.OpenHow, bpf.LoadAttr, bpf.AttachAttr, seccomp.SockFprog,
                 capability.Header)
}  # fmt: skip
LONGEST = 1000  # characters of one text
FIRST = 16  # bytes shown of data that are no text


def names_of(module: Any, *prefixes: str) -> dict[int, str]:
    """Return the constants of *module* whose names begin with one of *prefixes*: number to name."""
    return {
        value: name
        for name, value in vars(module).items()
        if name.startswith(prefixes) and isinstance(value, int) and not isinstance(value, bool)
    }


OPEN = {bits: name for bits, name in names_of(os, "O_").items() if bits} | {os.O_TMPFILE: "O_TMPFILE"}
CLONE = names_of(process, "CLONE_")
KEYCTL = names_of(process, "KEYCTL_")
PRCTL = names_of(process, "PR_SET_", "PR_GET_", "PR_CAPBSET_") | {process.PR_CAP_AMBIENT: "PR_CAP_AMBIENT"}
MOUNT_ATTR = {bits: name for bits, name in names_of(mount, "MOUNT_ATTR_").items() if name != "MOUNT_ATTR__ATIME"}
PROPAGATION = names_of(mount, "MS_")
AT = {mount.AT_EMPTY_PATH: "AT_EMPTY_PATH", mount.AT_RECURSIVE: "AT_RECURSIVE",
      mount.AT_SYMLINK_NOFOLLOW: "AT_SYMLINK_NOFOLLOW"}  # fmt: skip
TREE = AT | {mount.OPEN_TREE_CLONE: "OPEN_TREE_CLONE", mount.OPEN_TREE_CLOEXEC: "OPEN_TREE_CLOEXEC"}
MOVE = names_of(mount, "MOVE_MOUNT_")
RESOLVE = names_of(files, "RESOLVE_")
FSCONFIG = {mount.FSCONFIG_SET_FLAG: "FSCONFIG_SET_FLAG", mount.FSCONFIG_SET_STRING: "FSCONFIG_SET_STRING",
            mount.FSCONFIG_CMD_CREATE: "FSCONFIG_CMD_CREATE"}  # fmt: skip
SECCOMP = names_of(seccomp, "SECCOMP_SET_", "SECCOMP_GET_")
BPF = {bpf.BPF_PROG_LOAD: "BPF_PROG_LOAD", bpf.BPF_PROG_ATTACH: "BPF_PROG_ATTACH"}
UMOUNT = {mount.MNT_DETACH: "MNT_DETACH"}
IOCTL = {0x8913: "SIOCGIFFLAGS", 0x8914: "SIOCSIFFLAGS", 0x8921: "SIOCGIFMTU", 0x540E: "TIOCSCTTY", 0x5401: "TCGETS",
         0x5421: "FIONBIO"}  # fmt: skip
FAMILIES = {1: "AF_UNIX", 2: "AF_INET", 10: "AF_INET6", 16: "AF_NETLINK"}
ROUTE_MESSAGES = {16: "RTM_NEWLINK", 17: "RTM_DELLINK", 18: "RTM_GETLINK", 19: "RTM_SETLINK", 20: "RTM_NEWADDR",
                  22: "RTM_GETADDR", 24: "RTM_NEWROUTE", 26: "RTM_GETROUTE"}  # fmt: skip
SOCKETS = {1: "SOCK_STREAM", 2: "SOCK_DGRAM", 3: "SOCK_RAW"}


def flags(value: int, names: dict[int, str]) -> str:
    """Return *value* as names joined by ``|``; bits without a name are added as a number."""
    shown = []
    for bits, name in sorted(names.items(), key=lambda row: (-row[0].bit_count(), row[0])):
        if bits and value & bits == bits:
            shown.append(name)
            value &= ~bits
    if value or not shown:
        shown.append(hex(value) if value > 9 else str(value))
    return "|".join(shown)


def choice(value: int, names: dict[int, str]) -> str:
    """Return the name of *value*, or the number if it has none."""
    return names.get(value, str(value))


def text(value: object) -> str:
    """Return a path or another text in quotes, shortened in its middle; None is NULL."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
        if "\0" in value[:-1]:  # no text: the first bytes are enough, as strace(1) shows them
            value = f"{value[:FIRST]}..." if len(value) > FIRST else value
    if isinstance(value, list):
        return "[" + ", ".join(text(item) for item in value) + "]"
    if not isinstance(value, str):
        return str(value)
    shown = value.encode("unicode_escape", "backslashreplace").decode().replace('"', '\\"')
    if len(shown) > LONGEST:
        shown = f"{shown[: LONGEST // 2 - 2]}...{shown[-(LONGEST // 2 - 1) :]}"
    return f'"{shown}"'


def directory(value: object) -> str:
    """Return a directory's descriptor as text, AT_FDCWD for the working directory."""
    return "AT_FDCWD" if value in (mount.AT_FDCWD, None) else str(value)


def mode(value: object) -> str:
    """Return the bits of chmod(2) in octal, after the kind of file if it has one."""
    if not isinstance(value, int):
        return str(value)
    kinds = {stat.S_IFCHR: "S_IFCHR|", stat.S_IFBLK: "S_IFBLK|", stat.S_IFIFO: "S_IFIFO|"}
    return f"{kinds.get(stat.S_IFMT(value), '')}0{stat.S_IMODE(value):o}"


def device(value: int) -> str:
    """Return a device number as a call of makedev(3)."""
    return f"makedev({os.major(value)}, {os.minor(value)})"


def signal_name(value: int) -> str:
    """Return the name of a signal, a real-time one by its distance from SIGRTMIN or SIGRTMAX; see signal(7)."""
    try:
        return signal.Signals(value).name
    except ValueError:
        pass
    if not signal.SIGRTMIN < value < signal.SIGRTMAX:
        return str(value)
    above, below = value - signal.SIGRTMIN, signal.SIGRTMAX - value
    return f"SIGRTMIN+{above}" if above <= below else f"SIGRTMAX-{below}"


def structure(value: Any) -> Any:
    """Return the ctypes structure of a raw argument, or None if its kind is unknown."""
    kind = STRUCTURES.get(value["structure"]) if isinstance(value, dict) and "structure" in value else None
    return kind.from_buffer_copy(value["bytes"]) if kind else None


def answer(result: object) -> str:
    """Return the result of a call as text: a number, or -1 with the name and the message of the errno(3)."""
    if isinstance(result, int) and result < 0:
        return f"-1 {errno.errorcode.get(-result, -result)} ({os.strerror(-result)})"
    return str(result) if result is not None else "?"
