"""The arguments of each system call as text: names of flags and structures, in the order of its manual page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinybox.linux import capability, process
from tinybox.seeing import syscall_format
from tinybox.seeing.syscall_format import choice, directory, flags, mode, structure, text

if TYPE_CHECKING:
    from collections.abc import Callable

Arguments = list[Any]

UNDER = {  # calls that are described in the manual under another name
    "prlimit64": "getrlimit(2)",
    "capget": "capget(2)",
    "capset": "capset(2)",
    "umount2": "umount(2)",
    "faccessat": "access(2)",
    "faccessat2": "access(2)",
    "pipe2": "pipe(2)",
    "mkdirat": "mkdir(2)",
    "mknodat": "mknod(2)",
    "symlinkat": "symlink(2)",
    "fchmodat": "chmod(2)",
    "fchownat": "chown(2)",
    "openat": "open(2)",
    "unlinkat": "unlink(2)",
    "renameat": "rename(2)",
    "dup3": "dup(2)",
    "fork": "fork(2)",
    "sendto": "rtnetlink(7)",
    "clone3": "clone3(2)",
    "posix_spawn": "posix_spawn(3)",
    "signalfd4": "signalfd(2)",
    "fstatfs": "statfs(2)",
    "sethostname": "sethostname(2)",
}


def decode(call: str, raw: Arguments) -> list[str]:
    """Return the arguments of *call* as text, decoded if the call is in the table below, else unchanged."""
    known = CALLS.get(call)
    if known is None:
        return [text(value) for value in raw if value != {}]
    return known(raw)


def manual(call: str) -> str:
    """Return the manual page that describes *call*; see man-pages(7)."""
    return UNDER.get(call, f"{call}(2)")


def _clone3(raw: Arguments) -> list[str]:
    args = structure(raw[0])
    shown = [
        f"flags={flags(args.flags, syscall_format.CLONE)}",
        f"exit_signal={syscall_format.signal_name(args.exit_signal)}",
    ]
    if args.flags & process.CLONE_INTO_CGROUP:
        shown.append(f"cgroup={args.cgroup}")
    return [f"{{{', '.join(shown)}}}", str(raw[1])]


def _mount_setattr(raw: Arguments) -> list[str]:
    attr = structure(raw[3])
    shown = [f"{name}={flags(getattr(attr, name), syscall_format.MOUNT_ATTR)}" for name in ("attr_set", "attr_clr")
             if getattr(attr, name)]  # fmt: skip
    shown += [f"propagation={flags(attr.propagation, syscall_format.PROPAGATION)}"] * bool(attr.propagation)
    shown += [f"userns_fd={attr.userns_fd}"] * bool(attr.userns_fd)
    return [directory(raw[0]), text(raw[1]), flags(raw[2], syscall_format.AT), f"{{{', '.join(shown)}}}", str(raw[4])]


def _openat2(raw: Arguments) -> list[str]:
    how = structure(raw[2])
    shown = f"{{flags={flags(how.flags, syscall_format.OPEN)}, resolve={flags(how.resolve, syscall_format.RESOLVE)}}}"
    return [directory(raw[0]), text(raw[1]), shown, str(raw[3])]


def _prctl(raw: Arguments) -> list[str]:
    option, value = raw[0], raw[1] if len(raw) > 1 else 0
    name = choice(option, syscall_format.PRCTL)
    if option in (process.PR_CAPBSET_READ, process.PR_CAPBSET_DROP):
        return [name, capability.NAMES[value] if value < len(capability.NAMES) else str(value)]
    if option == process.PR_SET_PDEATHSIG:
        return [name, syscall_format.signal_name(value)]
    if option == process.PR_CAP_AMBIENT:
        which = {
            process.PR_CAP_AMBIENT_RAISE: "PR_CAP_AMBIENT_RAISE",
            process.PR_CAP_AMBIENT_CLEAR_ALL: "PR_CAP_AMBIENT_CLEAR_ALL",
        }
        return [name, choice(value, which), capability.NAMES[raw[2]] if value == process.PR_CAP_AMBIENT_RAISE else "0"]
    return [name] if option == process.PR_GET_DUMPABLE else [name, text(value)]


def _keyctl(raw: Arguments) -> list[str]:
    operation, *given = raw
    name = choice(operation, syscall_format.KEYCTL)
    if operation == process.KEYCTL_SETPERM:
        return [name, str(given[0]), f"{given[1]:#x}"]
    return [name, *map(text, given)]


def _bpf(raw: Arguments) -> list[str]:
    attr = structure(raw[1])
    shown = [
        f"{name}={getattr(attr, name)}" for name in ("insn_cnt", "target_fd", "attach_bpf_fd") if hasattr(attr, name)
    ]
    return [choice(raw[0], syscall_format.BPF), f"{{{', '.join(shown)}}}", str(raw[2])]


def _seccomp(raw: Arguments) -> list[str]:
    program = structure(raw[2])
    shown = f"{{len={program.len}}}" if program is not None else "NULL"
    return [choice(raw[0], syscall_format.SECCOMP), str(raw[1]), shown]


def _capabilities(raw: Arguments) -> list[str]:
    sets = raw[1]["bytes"] if isinstance(raw[1], dict) else b""
    low = [int.from_bytes(sets[at : at + 4], "little") for at in range(0, len(sets), 4)]
    names = ("effective", "permitted", "inheritable")
    shown = [f"{name}={low[n] | low[n + 3] << 32:#x}" for n, name in enumerate(names)] if len(low) == 6 else []
    return ["{_LINUX_CAPABILITY_VERSION_3, 0}", f"{{{', '.join(shown)}}}"]


def _path(*names: Callable[[Any], str], at: str = "dir_fd") -> Callable[[Arguments], list[str]]:
    """Return a decoder for a Python call on a path; in the kernel's order, the directory's descriptor comes first."""

    def read(raw: Arguments) -> list[str]:
        *given, named = raw
        given += [named[key] for key in ("mode",) if key in named]
        return [directory(named.get(at)), *(show(value) for show, value in zip(names, given, strict=False))]

    return read


def _plain(*names: Callable[[Any], str]) -> Callable[[Arguments], list[str]]:
    """Return a decoder for a call whose arguments are in the kernel's order already."""

    def read(raw: Arguments) -> list[str]:
        return [show(value) for show, value in zip(names, raw, strict=False) if value != {}]

    return read


def _named(names: dict[int, str]) -> Callable[[Any], str]:
    return lambda value: flags(value, names) if isinstance(value, int) else str(value)


def _chosen(names: dict[int, str]) -> Callable[[Any], str]:
    return lambda value: choice(value, names)


def _open_flags(value: int) -> str:
    return flags(value, syscall_format.OPEN) if value else "O_RDONLY"


def _symlink(raw: Arguments) -> list[str]:
    target, name, *_, named = raw
    return [text(target), directory(named.get("dir_fd")), text(name)]


def _read(raw: Arguments) -> list[str]:
    return [str(raw[0]), "...", str(raw[1])]


def _write(raw: Arguments) -> list[str]:
    return [str(raw[0]), text(raw[1]), str(len(raw[1]))]


def _socket(raw: Arguments) -> list[str]:
    family, kind, *_ = [value for value in raw if isinstance(value, int)]
    close_on_exec = "|SOCK_CLOEXEC" if kind & 0o2000000 else ""
    return [choice(family, syscall_format.FAMILIES), choice(kind & 15, syscall_format.SOCKETS) + close_on_exec, "0"]


def _ioctl(raw: Arguments) -> list[str]:
    return [str(raw[0]), choice(raw[1], syscall_format.IOCTL), "..." if isinstance(raw[2], bytes) else str(raw[2])]


def _last_fd(value: int) -> str:
    return "~0U" if value == 2**32 - 1 else str(value)


def _netlink(raw: Arguments) -> list[str]:
    """Return a message of rtnetlink(7) by the name of its type, and what it is about."""
    fd, kind, about, length = raw
    name = syscall_format.ROUTE_MESSAGES.get(kind, f"type {kind}")
    return [str(fd), f"{{{', '.join(filter(None, [name, about]))}}}", str(length)]


CALLS: dict[str, Callable[[Arguments], list[str]]] = {
    "sendto": _netlink,
    "clone3": _clone3,
    "mount_setattr": _mount_setattr,
    "openat2": _openat2,
    "prctl": _prctl,
    "bpf": _bpf,
    "keyctl": _keyctl,
    "seccomp": _seccomp,
    "capget": _capabilities,
    "capset": _capabilities,
    "setns": _plain(str, _named(syscall_format.CLONE)),
    "unshare": _plain(_named(syscall_format.CLONE)),
    "mount": _plain(text, text, text, str, text),
    "open_tree": _plain(directory, text, _named(syscall_format.TREE)),
    "move_mount": _plain(str, text, directory, text, _named(syscall_format.MOVE)),
    "fsopen": _plain(text, lambda _: "FSOPEN_CLOEXEC"),
    "fsconfig": _plain(str, _chosen(syscall_format.FSCONFIG), text, text, str),
    "fsmount": _plain(str, lambda _: "FSMOUNT_CLOEXEC", _named(syscall_format.MOUNT_ATTR)),
    "pivot_root": _plain(text, text),
    "umount2": _plain(text, _named(syscall_format.UMOUNT)),
    "close_range": _plain(str, _last_fd, str),
    "pidfd_getfd": _plain(str, str, str),
    "fstatfs": _plain(str, lambda _: "..."),
    "openat": _path(text, _open_flags, mode),
    "open": _plain(text, _open_flags),
    "unlinkat": lambda raw: [directory(raw[1].get("dir_fd")), text(raw[0]), "AT_REMOVEDIR"],
    "renameat": lambda raw: [directory(None), text(raw[0]), directory(None), text(raw[1])],
    "dup3": lambda raw: [str(raw[0]), str(raw[1]), "0"],
    "mkdirat": _path(text, mode),
    "mknodat": _path(text, mode, syscall_format.device),
    "fchmodat": _path(text, mode),
    "fchownat": _path(text, str, str),
    "faccessat2": _plain(directory, text, str, str),
    "faccessat": _path(text, str),
    "access": _plain(text, str),
    "pipe2": lambda _: ["[...]", "O_CLOEXEC"],
    "symlinkat": _symlink,
    "read": _read,
    "write": _write,
    "socket": _socket,
    "ioctl": _ioctl,
    "fcntl": lambda raw: [
        str(raw[0]),
        "F_DUPFD_CLOEXEC",
        "0",
    ],  # os.dup() of Python does not use dup(2), because it sets close-on-exec
    "umask": _plain(mode),
    "clone": _plain(str),
    "execve": _plain(text, text, lambda _: "environ"),
}
