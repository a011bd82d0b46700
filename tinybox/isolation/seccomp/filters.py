"""Seccomp: the container's last wall, for what no namespace hides is still one kernel, reached by system calls.

A profile names the calls that programs have a use for; all others, each one a door that someone may have left ajar,
are answered with an error before the kernel looks at them.

On the way to a running container stands only this file: it reads a program compiled earlier and installs it. Compiling
(isolation/seccomp/compiler.py) costs more than the whole rest of this, so it is done once for each profile.
"""

from __future__ import annotations

import os

from tinybox.errors import UsageError
from tinybox.linux import seccomp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

FLAGS = {
    # Without ESRCH, a thread that cannot follow would be reported as a positive number, which looks like success.
    "SECCOMP_FILTER_FLAG_TSYNC": seccomp.SECCOMP_FILTER_FLAG_TSYNC | seccomp.SECCOMP_FILTER_FLAG_TSYNC_ESRCH,
    "SECCOMP_FILTER_FLAG_LOG": seccomp.SECCOMP_FILTER_FLAG_LOG,
    "SECCOMP_FILTER_FLAG_SPEC_ALLOW": seccomp.SECCOMP_FILTER_FLAG_SPEC_ALLOW,
    "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV": seccomp.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV,
}


def install(program: bytes, flags: int = 0) -> int:
    """Put *program* before every system call of this process, the last act before execve(2); see seccomp(2).

    Returns the listener's file descriptor if *flags* asks for one, else 0. It needs no_new_privs or CAP_SYS_ADMIN
    (else SyscallError EACCES), imports nothing, and is never undone.
    """
    return seccomp.set_mode_filter(program, flags)


def flags_of(profile: Mapping[str, Any]) -> int:
    """Return the flags for `install` that *profile* asks for; SCMP_ACT_NOTIFY asks for a listener; see seccomp(2).

    It looks at no more than it needs: `compiled`, asked first, finds what else is wrong with a profile.
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
    """Tell whether *profile* leaves some calls to an agent: then the filter has a listener; see seccomp_unotify(2)."""
    return any(entry.get("action") == "SCMP_ACT_NOTIFY" for entry in profile.get("syscalls") or ())


def compiled(profile: Mapping[str, Any], machine: str, cache_dir: str) -> bytes:
    """Return the program for the OCI object ``linux.seccomp``, read from *cache_dir* if it was compiled before.

    A cache that is absent, damaged, out of date or open to others' hands is not believed, and where it cannot be
    written the program is compiled each time. Raises UsageError that names the faulty field.
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
    """Tell this compiler from others by the size and time of its files, so that an upgrade makes old programs void."""
    here = os.path.dirname(__file__)
    stamps = []
    for name in ("compiler.py", "../../linux/syscalls.py", "../../linux/seccomp.py"):
        try:
            status = os.stat(os.path.join(here, name))
        except OSError:
            continue  # an installation without sources; what it has for a stamp are those that remain
        stamps.append(f"{name} {status.st_size} {status.st_mtime_ns}")
    return " ".join(stamps)


def check_sum(data: bytes) -> int:
    """Return the remainder of *data*, read as one number, by a prime: no import, where binascii.crc32 costs 0.3 ms."""
    return int.from_bytes(data, "big") % (2**64 - 59)


def seal(origin: bytes, program: bytes) -> bytes:
    """Return a cache file's content: what the program was made from, in full, a check sum, and the program.

    The origin is there to be compared, not its hash: two profiles whose check sums meet can never be taken for one.
    """
    return b"%b\n%016x\n%b" % (origin, check_sum(program), program)


def read(path: str, origin: bytes) -> bytes | None:
    """Return the program in the cache file *path* if it was made from *origin*, whole, and ours alone to write."""
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
    """Put *program* into the cache file *path*, whole or not at all; rename(2) makes it so."""
    draft = f"{path}.{os.getpid()}"
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError:
        return  # a read-only or foreign directory: nothing is kept, and nothing is lost but time
    try:
        os.write(fd, seal(origin, program))
        os.replace(draft, path)
    except OSError:
        os.unlink(draft)
    finally:
        os.close(fd)
