"""Labels of the two security modules that have them: AppArmor's profile and SELinux's context of the next program.

A module that is compiled in need not be switched on, and a host has at most one of these two. The label is written
into a file of the process itself, and takes effect at its next execve(2).
"""

from __future__ import annotations

import os

from tinybox.errors import HostError, TinyboxError
from tinybox.linux import files

APPARMOR, SELINUX = "/sys/module/apparmor/parameters/enabled", "/sys/fs/selinux/enforce"


def has_apparmor() -> bool:
    """Tell whether AppArmor is switched on; see apparmor(7)."""
    try:
        with open(APPARMOR, encoding="utf-8") as file:
            return file.read().startswith("Y")
    except OSError:
        return False


def has_selinux() -> bool:
    """Tell whether SELinux is switched on; see selinux(8)."""
    return os.path.exists(SELINUX)


def check(field: str) -> None:
    """Raise HostError, with the *field* that asks for a label, where the module that has it is not switched on."""
    has, name = (has_apparmor(), "AppArmor") if field.endswith("apparmorProfile") else (has_selinux(), "SELinux")
    if not has:
        raise HostError(field, f"{name} is not enabled on this host", "leave it out")


def label_program(field: str, file: str, text: str) -> None:
    """Write *text* into ``/proc/self/attr/`` *file*: how the next program is labelled; see proc_pid_attr(5).

    It goes through a /proc that is checked to be procfs and follows no link in it (CVE-2025-52881).
    """
    try:
        # /proc/self is itself a link, so the way begins behind it: at this process's own directory.
        proc = os.open(f"/proc/{os.getpid()}/attr", os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            if files.file_system(proc) != files.PROC_SUPER_MAGIC:
                raise TinyboxError(field, "/proc is not the proc file system")
            resolve = files.RESOLVE_BENEATH | files.RESOLVE_NO_SYMLINKS | files.RESOLVE_NO_XDEV
            fd = files.openat2(proc, os.fsencode(file), os.O_WRONLY, resolve)
        finally:
            os.close(proc)
        files.write_once(fd, text.encode())
    except OSError as error:
        raise HostError(field, f"{text!r} cannot be set: {error.strerror}", "load it first") from error
