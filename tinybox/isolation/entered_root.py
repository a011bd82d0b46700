"""In a root file system that the process has entered: its /proc, kernel parameters, and the working directory.

rootfs.py makes that root. `exec` joins one, and needs no more than this file.
"""

from __future__ import annotations

import os

from tinybox.errors import HostError, NotExecutableError, NotFoundError, SyscallError, TinyboxError
from tinybox.linux.filesystem import files, inside


def open_proc() -> int:
    """Open this root's /proc; TinyboxError: it is not the proc file system. A link is not followed (CVE-2025-52881)."""
    proc = os.open("/proc", os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    if files.file_system(proc) == files.PROC_SUPER_MAGIC:
        return proc
    os.close(proc)
    raise TinyboxError("/proc", "is not the proc file system")


def has_proc() -> bool:
    """Return whether this root's /proc is the proc file system; see proc(5)."""
    try:
        os.close(open_proc())
    except (OSError, TinyboxError):
        return False
    return True


def set_sysctl(name: str, value: str) -> None:
    """Set a kernel parameter of this container's namespaces, such as ``net.core.somaxconn``; sysctl(8), proc_sys(5).

    It follows no link below /proc. HostError: the kernel has no such parameter, or refuses the value.
    """
    proc = open_proc()
    try:
        path = b"sys/" + os.fsencode(name.replace(".", "/"))
        resolve = files.RESOLVE_BENEATH | files.RESOLVE_NO_SYMLINKS | files.RESOLVE_NO_XDEV
        files.write_once(files.openat2(proc, path, os.O_WRONLY, resolve), value.encode())
    except SyscallError as error:
        raise HostError(f"sysctl {name}", error.strerror or "", "see /proc/sys for this kernel's names") from error
    except OSError as error:
        raise HostError(f"sysctl {name}={value}", error.strerror or "") from error
    finally:
        os.close(proc)


def enter_directory(path: str) -> None:
    """Change to the working directory *path* of the container, and make it if it is missing; see chdir(2), mkdir(2).

    It is made where its links lead inside this root. TinyboxError: it is no directory, or lies outside.
    """
    thing = f"working directory {path}"
    try:
        try:
            os.chdir(path)
        except FileNotFoundError:
            root = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            inside.make(root, os.fsencode(path))
            os.close(root)
            os.chdir(path)
    except OSError as error:
        raise TinyboxError(thing, error.strerror or str(error)) from error
    _check_inside(thing)


def enter_existing_directory(path: str) -> None:
    """Change to the working directory *path* of one more process of a container, and make nothing; see chdir(2).

    NotFoundError, NotExecutableError: it is missing, or no directory. TinyboxError: it lies outside.
    """
    thing = f"working directory {path}"
    try:
        os.chdir(path)
    except FileNotFoundError as error:
        raise NotFoundError(thing, error.strerror or "", "exec makes none: make it first") from error
    except OSError as error:
        raise NotExecutableError(thing, error.strerror or str(error)) from error
    _check_inside(thing)


def _check_inside(thing: str) -> None:
    """Raise TinyboxError if getcwd(3) gives no absolute path.

    It gives "(unreachable)" for a directory that is not below the new root, and a program that starts there has access
    to the host (CVE-2024-21626).
    """
    if not os.getcwd().startswith("/"):
        raise TinyboxError(thing, "lies outside the container")
