"""Process system calls: clone3, clone, setns, unshare, pidfd_getfd, prctl, personality and keyctl.

clone3(2) is fork(2) with options: new namespaces for the child, a cgroup in which it starts, and a pidfd, a descriptor
that always refers to this child, also after its pid is used again.
"""

from __future__ import annotations

import ctypes
import os

from tinybox.linux.abi import Syscall

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

CLONE_NEWTIME = 0x00000080
CLONE_PIDFD = 0x00001000
CLONE_PARENT = 0x00008000
CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000
CLONE_INTO_CGROUP = 0x200000000

PER_LINUX = 0x0000
PER_LINUX32 = 0x0008

PR_SET_PDEATHSIG = 1
PR_GET_DUMPABLE = 3
PR_SET_DUMPABLE = 4
PR_SET_KEEPCAPS = 8
PR_SET_NAME = 15
PR_CAPBSET_READ = 23
PR_CAPBSET_DROP = 24
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
PR_CAP_AMBIENT_CLEAR_ALL = 4

KEYCTL_JOIN_SESSION_KEYRING = 1
KEYCTL_SETPERM = 5
KEY_POS_ALL, KEY_USR_VIEW, KEY_USR_READ, KEY_USR_SEARCH, KEY_USR_LINK = 0x3F000000, 0x10000, 0x20000, 0x80000, 0x100000

SIGCHLD = 17


class CloneArgs(ctypes.Structure):
    """``struct clone_args`` of clone3(2): 88 bytes, with ``cgroup`` at offset 80 (Linux 5.7)."""

    _fields_ = tuple(
        (name, ctypes.c_uint64)
        for name in (
            "flags",
            "pidfd",
            "child_tid",
            "parent_tid",
            "exit_signal",
            "stack",
            "stack_size",
            "tls",
            "set_tid",
            "set_tid_size",
            "cgroup",
        )
    )


_clone = Syscall("clone", *[ctypes.c_ulong] * 5)
_clone3 = Syscall("clone3", ctypes.POINTER(CloneArgs), ctypes.c_size_t)
_setns = Syscall("setns", ctypes.c_int, ctypes.c_int)
_unshare = Syscall("unshare", ctypes.c_int)
_pidfd_getfd = Syscall("pidfd_getfd", ctypes.c_int, ctypes.c_int, ctypes.c_uint)
_setdomainname = Syscall("setdomainname", ctypes.c_char_p, ctypes.c_size_t)
_personality = Syscall("personality", ctypes.c_ulong)
_prctl = Syscall("prctl", ctypes.c_int, *[ctypes.c_ulong] * 4)
_prctl_text = Syscall("prctl", ctypes.c_int, ctypes.c_char_p)
_join_session_keyring = Syscall("keyctl", ctypes.c_int, ctypes.c_char_p)
_set_key_permissions = Syscall("keyctl", ctypes.c_int, ctypes.c_int, ctypes.c_uint32)

_python = ctypes.pythonapi
_before_fork: Any = _python.PyOS_BeforeFork
_after_fork_child: Any = _python.PyOS_AfterFork_Child
_after_fork_parent: Any = _python.PyOS_AfterFork_Parent
for _hook in (_before_fork, _after_fork_child, _after_fork_parent):
    _hook.restype, _hook.argtypes = None, ()


def clone3(flags: int, cgroup: int | None = None, exit_signal: int = SIGCHLD) -> tuple[int, int]:
    """Make a child with the CLONE_* *flags*; return ``(pid, pidfd)`` to the parent and ``(0, -1)`` to the child.

    See clone3(2). *cgroup* is an fd of the v2 control group in which the child starts (CLONE_INTO_CGROUP, Linux 5.7).
    The pid is that of the caller's pid namespace; the pidfd is close-on-exec. Python's fork hooks run before and after,
    as in os.fork(), so at-fork handlers, the interpreter lock and os.fork() in the child work. The caller should have
    only one thread.
    """
    pidfd = ctypes.c_int(-1)
    args = CloneArgs(flags=flags | CLONE_PIDFD, pidfd=ctypes.addressof(pidfd), exit_signal=exit_signal)
    if cgroup is not None:
        args.flags |= CLONE_INTO_CGROUP
        args.cgroup = cgroup
    _before_fork()
    pid = -1
    try:
        pid = _clone3(ctypes.byref(args), ctypes.sizeof(args))
    finally:
        (_after_fork_child if pid == 0 else _after_fork_parent)()
    return pid, pidfd.value if pid else -1


def clone(flags: int) -> int:
    """Make a child with the CLONE_* *flags*, which must not share memory; return its pid, and 0 to the child.

    See clone(2). A seccomp filter can check its flags, which are in a register; it cannot read the flags of clone3(2),
    which are in memory, so docker's filter refuses that call. Python's fork hooks run as in `clone3`.
    """
    _before_fork()
    pid = -1
    try:
        pid = _clone(flags | SIGCHLD, 0, 0, 0, 0)
    finally:
        (_after_fork_child if pid == 0 else _after_fork_parent)()
    return pid


def setns(fd: int, nstype: int) -> None:
    """Join the namespace of *fd* (or those of a pidfd that *nstype* names, Linux 5.8); see setns(2)."""
    _setns(fd, nstype)


def unshare(flags: int) -> None:
    """Move this process into new namespaces of the kinds in *flags*; see unshare(2)."""
    _unshare(flags)


def pidfd_getfd(pidfd: int, target: int) -> int:
    """Return a copy of file descriptor *target* of the process of *pidfd*; see pidfd_getfd(2)."""
    return _pidfd_getfd(pidfd, target, 0)


def pid_of(pidfd: int) -> int:
    """Return the pid of the process of *pidfd*; -1 if it has ended; see "Pid" in proc_pid_fdinfo(5)."""
    with open(f"/proc/self/fdinfo/{pidfd}", encoding="utf-8") as file:
        return next(int(line[4:]) for line in file if line.startswith("Pid:"))


def set_name(name: bytes) -> None:
    """Give this thread the *name* that ps(1) shows, at most 15 bytes; see PR_SET_NAME in prctl(2)."""
    _prctl_text(PR_SET_NAME, name)


def set_parent_death_signal(signal: int) -> None:
    """Let the kernel send *signal* to this process when its parent thread ends; see PR_SET_PDEATHSIG in prctl(2).

    A change of the user or group, or of capabilities by execve(2), clears this setting.
    """
    _prctl(PR_SET_PDEATHSIG, signal, 0, 0, 0)


def set_dumpable(dumpable: bool) -> None:
    """Hide (False) this process's memory and /proc links from unprivileged processes; PR_SET_DUMPABLE in prctl(2)."""
    _prctl(PR_SET_DUMPABLE, dumpable, 0, 0, 0)


def is_dumpable() -> bool:
    """Return whether processes of the same user may read this one's memory; see PR_GET_DUMPABLE in prctl(2)."""
    return _prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 1


def set_child_subreaper() -> None:
    """Make this process the new parent of its orphaned descendants; see PR_SET_CHILD_SUBREAPER in prctl(2)."""
    _prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def set_keep_capabilities() -> None:
    """Keep the permitted capability set at the next change of user; see PR_SET_KEEPCAPS in prctl(2)."""
    _prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0)


def set_no_new_privs() -> None:
    """Forbid that a later execve(2) grants privileges, as by set-user-ID; see PR_SET_NO_NEW_PRIVS in prctl(2)."""
    _prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def setdomainname(name: bytes) -> None:
    """Give this UTS namespace's machine its NIS domain *name*; see setdomainname(2)."""
    _setdomainname(name, len(name))


def personality(domain: int) -> int:
    """Run this process and its programs in the execution *domain* PER_*; return the former one; see personality(2)."""
    return _personality(domain)


def join_session_keyring(name: bytes | None) -> int:
    """Make the keyring *name* (None: a new one without a name) this process's session keyring; return its number.

    The keyring is made if this user has no keyring of that name with search permission; see
    KEYCTL_JOIN_SESSION_KEYRING in keyctl(2). ENOSYS: a kernel without keys; EDQUOT: this user has too many keys, see
    keyrings(7).
    """
    return _join_session_keyring(KEYCTL_JOIN_SESSION_KEYRING, name)


def set_key_permissions(key: int, permissions: int) -> None:
    """Set the permissions of *key*: bits of KEY_POS_* and KEY_USR_*; see KEYCTL_SETPERM in keyctl(2)."""
    _set_key_permissions(KEYCTL_SETPERM, key, permissions)


def bounding_set_has(capability: int) -> bool:
    """Return whether the bounding set has *capability*; EINVAL: no such capability; PR_CAPBSET_READ in prctl(2)."""
    return bool(_prctl(PR_CAPBSET_READ, capability, 0, 0, 0))


def drop_from_bounding_set(capability: int) -> None:
    """Remove *capability* from the bounding set, for this thread and its children; PR_CAPBSET_DROP in prctl(2)."""
    _prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)


def clear_ambient_set() -> None:
    """Empty the ambient capability set; see PR_CAP_AMBIENT in prctl(2)."""
    _prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)


def raise_ambient(capability: int) -> None:
    """Add *capability* to the ambient set, which execve(2) keeps; see PR_CAP_AMBIENT in prctl(2)."""
    _prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0)


def kernel_release() -> tuple[int, int]:
    """Return this kernel's version as ``(6, 1)``; see uname(2)."""
    major, minor, *_ = os.uname().release.split(".")
    return int(major), int("".join(c for c in minor if c.isdigit()) or 0)
