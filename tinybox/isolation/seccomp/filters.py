"""Seccomp filters: install a compiled filter, and keep compiled profiles in the store's cache (cache/seccomp-*).

All containers share one kernel and reach it by system calls, which no namespace hides. A profile names the calls that
programs need; every other call, which might have a security hole, fails before the kernel runs it.

The start of a container needs only this file: it reads a program that was compiled earlier, and installs it. Compiling
(isolation/seccomp/compiler.py) takes longer than all the rest, so it is done once for each profile.
"""

from __future__ import annotations

import os

from tinybox.errors import UsageError
from tinybox.linux import seccomp
from tinybox.linux.filesystem import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

FLAGS = {
    # Without ESRCH, the kernel returns the id of a thread that cannot take the filter: it would look like success.
    "SECCOMP_FILTER_FLAG_TSYNC": seccomp.SECCOMP_FILTER_FLAG_TSYNC | seccomp.SECCOMP_FILTER_FLAG_TSYNC_ESRCH,
    "SECCOMP_FILTER_FLAG_LOG": seccomp.SECCOMP_FILTER_FLAG_LOG,
    "SECCOMP_FILTER_FLAG_SPEC_ALLOW": seccomp.SECCOMP_FILTER_FLAG_SPEC_ALLOW,
    "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV": seccomp.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV,
}


def install(program: bytes, flags: int = 0) -> int:
    """Install *program* as a filter for the system calls of this process, the last step before execve(2); seccomp(2).

    Returns the listener's file descriptor if *flags* request one, else 0. SyscallError EACCES: the process has neither
    no_new_privs nor CAP_SYS_ADMIN. It imports nothing. A filter cannot be removed.
    """
    return seccomp.set_mode_filter(program, flags)


def flags_of(profile: Mapping[str, Any]) -> int:
    """Return the flags of *profile* for `install`; SCMP_ACT_NOTIFY needs a listener; see seccomp(2).

    It checks only the flags: `compiled`, which is called before, checks the rest of the profile.
    """
    flags = 0
    for position, name in enumerate(profile.get("flags") or ()):
        if not isinstance(name, str) or name not in FLAGS:
            thing = f"linux.seccomp.flags[{position}]"
            raise UsageError(thing, f"{name!r} is not a flag of seccomp(2)", f"one of {', '.join(FLAGS)}")
        flags |= FLAGS[name]
    if notifies(profile):
        flags |= seccomp.SECCOMP_FILTER_FLAG_NEW_LISTENER
    return flags


def notifies(profile: Mapping[str, Any]) -> bool:
    """Return whether *profile* leaves calls to a seccomp agent: then the filter has a listener; seccomp_unotify(2)."""
    return any(entry.get("action") == "SCMP_ACT_NOTIFY" for entry in profile.get("syscalls") or ())


def compiled(profile: Mapping[str, Any], machine: str, cache_dir: str) -> bytes:
    """Return the program for the OCI object ``linux.seccomp``, read from *cache_dir* if it was compiled before.

    A cache file is not used if it is missing, damaged, out of date, or writable by another user. If the cache cannot be
    written, the program is compiled each time. UsageError names the wrong field of the profile.
    """
    text = repr(profile)
    path = os.path.join(cache_dir, f"seccomp-{machine}-{check_sum(text.encode()):016x}")
    origin = f"{compiler_stamp()} {machine} {text}".encode()
    program = read(path, origin)
    if program is None:
        from tinybox.isolation.seccomp.compiler import compile_profile

        program = compile_profile(profile, machine)
        write(path, origin, program)
    return program


def compiler_stamp() -> str:
    """Return the sizes and times of the compiler's files, so that a new version does not use old programs; stat(2)."""
    here = os.path.dirname(__file__)
    stamps = []
    for name in ("compiler.py", "../../linux/syscalls.py", "../../linux/seccomp.py"):
        try:
            status = os.stat(os.path.join(here, name))
        except OSError:
            continue  # an installation without source files: the stamp is made from the remaining ones
        stamps.append(f"{name} {status.st_size} {status.st_mtime_ns}")
    return " ".join(stamps)


def check_sum(data: bytes) -> int:
    """Return *data*, read as one number, modulo a prime; importing binascii.crc32 instead would take 0.3 ms."""
    return int.from_bytes(data, "big") % (2**64 - 59)


def seal(origin: bytes, program: bytes) -> bytes:
    """Return the content of a cache file: the *origin* (the full profile), a check sum, and the *program*.

    `read` compares the full origin, not a hash of it: so two profiles with the same check sum are never confused.
    """
    return b"%b\n%016x\n%b" % (origin, check_sum(program), program)


def read(path: str, origin: bytes) -> bytes | None:
    """Return the program in the cache file *path*; None: it is missing, damaged, or not made from *origin*.

    None also if the file belongs to another user, or another user may write it.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        status = os.fstat(fd)
        if status.st_uid != os.geteuid() or status.st_mode & 0o022:
            return None
        content = os.read(fd, status.st_size + 1)
    except OSError:
        return None
    finally:
        os.close(fd)
    program = content[len(seal(origin, b"")) :]
    return program if program and content == seal(origin, program) else None


def write(path: str, origin: bytes, program: bytes) -> None:
    """Write *program* into the cache file *path*, completely or not at all, and without a draft; ignore a failure."""
    from tinybox.linux.filesystem import unnamed

    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        files.discard(path)  # a damaged one
        unnamed.appear(path, seal(origin, program))
    except OSError:
        return  # a read-only directory, or that of another user: the next start compiles the profile again
